"""Inventories of real things: a Debian system, real .debs, programs that Go built. Others' tools say what is right."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pkgtool import programs
from pkgtool.oci.documents import encode
from pkgtool.sbom import cyclonedx, go, spdx
from pkgtool.sbom.deb_file import read_deb
from pkgtool.sbom.files import ImageFile, visible_files
from pkgtool.sbom.inventory import take_inventory
from pkgtool.sbom.model import Inventory, Kind, Subject
from pkgtool.values import Digest
from tests.support import sid_tools
from tests.support.registry.images import AMD64
from tests.support.sbom_validators import cyclonedx_problems, spdx_problems

MANIFEST = Digest.of(b"manifest")
MIRROR = "http://deb.debian.org/debian"


@pytest.fixture(scope="session")
def debian_tar() -> Path:
    """A small Debian system as one layer, made once and kept."""
    place = sid_tools.cache().parent / "trixie-essential.tar"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        made = place.with_suffix(f".{os.getpid()}.tar")
        programs.require("mmdebstrap", "make a Debian system to look into")
        command = ["mmdebstrap", "--variant=essential", '--aptopt=Acquire::Check-Valid-Until "false"', "--quiet"]
        subprocess.run([*command, "trixie", str(made), MIRROR], check=True)
        made.rename(place)
    return place


def look_into(tar: Path, **options) -> Inventory:
    return take_inventory(visible_files([lambda: tar.open("rb")]), platform=AMD64, manifest=MANIFEST, **options)


@pytest.mark.network
@pytest.mark.slow
def test_the_list_is_the_one_that_the_running_system_gives(debian_tar: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xf", str(debian_tar), "-C", str(tmp_path)], check=True)
    asked = subprocess.run(
        ["chroot", str(tmp_path), "dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = look_into(debian_tar)
    listed = {
        f"{each.name} {each.version} {each.properties['architecture']}"
        for each in found.components
        if each.kind is Kind.DEBIAN
    }
    assert listed == set(asked.split("\n")) - {""}
    assert len(listed) > 20


@pytest.mark.network
@pytest.mark.slow
def test_debsbom_names_the_same_packages(debian_tar: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xf", str(debian_tar), "-C", str(tmp_path)], check=True)
    from debsbom.dpkg.package import BinaryPackage, Package

    status = tmp_path / "var/lib/dpkg/status"
    theirs = {str(each.purl()) for each in Package.parse_status_file(status) if isinstance(each, BinaryPackage)}
    ours = {each.purl for each in look_into(debian_tar).components if each.kind is Kind.DEBIAN}
    assert ours == {each.replace("%3A", ":") for each in theirs}


@pytest.mark.network
@pytest.mark.slow
def test_the_documents_of_a_whole_system_are_valid_and_reproducible(debian_tar: Path) -> None:
    def subject() -> Subject:
        return Subject("linuxkit/base", "v1", MANIFEST, (look_into(debian_tar),), 1577836800, "1")

    assert spdx_problems(spdx.document(subject())) == []
    assert cyclonedx_problems(cyclonedx.document(subject())) is None
    for writer in (spdx, cyclonedx):
        assert encode(writer.document(subject())) == encode(writer.document(subject()))


@pytest.mark.network
def test_real_debs_are_found_by_their_files(tmp_path: Path) -> None:
    """An image FROM scratch with a few files out of real packages, in places of its own."""
    root = sid_tools.unpacked("oras")
    subprocess.run(
        ["apt-get", "download", "-qq", "hostname", "sed"],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    known = [read_deb(path) for path in sorted(tmp_path.glob("*.deb"))]
    assert [each.package.name for each in known] == ["hostname", "sed"]
    for path in tmp_path.glob("hostname*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(path), str(tmp_path / "unpacked")], check=True)
    (program,) = (tmp_path / "unpacked").rglob("bin/hostname")
    files = [
        ImageFile("usr/bin/hostname", 0o755, program.stat().st_size, lambda: program.open("rb")),
        ImageFile(
            "bin/oras", 0o755, (root / "usr/bin/oras").stat().st_size, lambda: (root / "usr/bin/oras").open("rb")
        ),
    ]
    found = take_inventory(files, platform=AMD64, manifest=MANIFEST, known=known)
    assert [each.name for each in found.components if each.kind is Kind.DEBIAN] == ["hostname"]
    assert [each.name for each in found.components if each.kind is Kind.GO_MODULE] == ["stdlib"]


def go_command() -> str:
    found = shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin:/usr/bin")
    if found is None:
        raise RuntimeError("go is not installed: sudo apt-get install golang-go")
    return found


@pytest.mark.network
@pytest.mark.slow
def test_a_go_program_says_what_go_itself_reads_from_it(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(
        "module example.org/hello\n\ngo 1.19\n\nrequire rsc.io/quote v1.5.2\n\n"
        "replace rsc.io/sampler => rsc.io/sampler v1.3.1\n"
    )
    (tmp_path / "main.go").write_text(
        'package main\n\nimport "rsc.io/quote"\n\nfunc main() { println(quote.Hello()) }\n'
    )
    cache = sid_tools.cache().parent / "go"
    environment = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "GOCACHE": str(cache / "build"),
        "GOMODCACHE": str(cache / "modules"),
        "GOFLAGS": "-mod=mod -buildvcs=false -modcacherw",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
    }
    subprocess.run([go_command(), "build", "-o", "hello", "."], cwd=tmp_path, env=environment, check=True)
    said = subprocess.run(
        [go_command(), "version", "-m", "hello"],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    theirs: list[list[str]] = []
    for line in said.splitlines():
        _, kind, *fields = [*line.split("\t"), "", "", ""]
        if kind == "=>":
            theirs[-1] = fields[:3]
        elif kind == "dep":
            theirs.append(fields[:3])
    with (tmp_path / "hello").open("rb") as program:
        info = go.read_build_info(program)
    assert info is not None
    assert info.main is not None
    assert info.main.path == "example.org/hello"
    assert [[each.path, each.version, each.sum] for each in info.modules] == theirs
    assert [each[:2] for each in theirs if each[0] == "rsc.io/sampler"] == [["rsc.io/sampler", "v1.3.1"]]
