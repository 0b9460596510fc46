"""Root file systems made by the real mmdebstrap."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.config.loader import LoadOptions, load
from pkgtool.engines.rootfs import RootfsRequest, make_rootfs
from pkgtool.errors import BuildError, EngineError
from pkgtool.inputs.architectures import debian_architecture
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.lock_reader import read_lock
from pkgtool.inputs.resolve import Resolver, Target
from pkgtool.inputs.stage import Staging, stage
from pkgtool.model import DebianInput, Inputs, Package, Rootfs, TreeSettings
from pkgtool.oci.store import Store
from pkgtool.source.trees import WorkingTree
from pkgtool.values import Platform
from tests.support.fake_archive import FakeArchive
from tests.support.faulty_server import FaultyServer

HERE = Platform.parse(os.uname().machine)
ARCH = debian_architecture(HERE)
BASE = Path(__file__).parents[3] / "pkg" / "base"


@pytest.fixture
def locked(store: Store, server: FaultyServer, archive: FakeArchive, tmp_path: Path) -> tuple[Lock, Path, Rootfs]:
    """Two tiny packages, locked and laid out. Nothing in them can run, so they are only unpacked."""
    archive.add("tool", arch=ARCH, Depends="library", files={"usr/bin/tool": b"tool", "usr/share/doc/tool/x": b"doc"})
    archive.add("library", files={"usr/share/doc/library/copyright": b"free", "usr/share/doc/library/README": b"doc"})
    server.files = archive.publish(architectures=(ARCH,))
    settings = TreeSettings(debian_mirror=server.url, debian_snapshot="", debian_security_mirror="")
    rootfs = Rootfs(variant="extract", exclude=("/usr/share/doc/*", "!/usr/share/doc/*/copyright"))
    package = Package(
        name="tiny",
        org="linuxkit",
        path="pkg/tiny",
        tag_template="",
        platforms=(HERE,),
        context=(),
        source_url="",
        source_date_epoch=0,
        inputs=Inputs(debian=DebianInput("trixie", ("tool",))),
        rootfs=rootfs,
    )
    with (
        Fetcher(store) as fetcher,
        Resolver(fetcher, settings, keyring=str(archive.key.keyring)) as resolver,
    ):
        lock = resolver.resolve(Target(package, tmp_path, (), (HERE,)), previous=None)
        stage(Staging("tiny", lock, (ARCH,), 1_700_000_000), tmp_path / "context", fetcher, settings)
    return lock, tmp_path / "context" / "inputs" / "debian", rootfs


def request(locked: tuple[Lock, Path, Rootfs]) -> RootfsRequest:
    lock, repository, rootfs = locked
    assert lock.debian
    return RootfsRequest("tiny", HERE, lock.debian, rootfs, repository, None, 1_700_000_000)


def made(wanted: RootfsRequest, directory: Path) -> bytes:
    directory.mkdir()
    (directory / "scratch").mkdir()
    make_rootfs(wanted, directory / "out.tar", directory / "scratch", log=lambda line: None)
    left = {path.name for path in (directory / "scratch").iterdir()}
    assert left <= {"setup", "run-setup"}, "nothing of the making is left behind"
    return (directory / "out.tar").read_bytes()


def test_locked_packages_become_a_tar(locked: tuple[Lock, Path, Rootfs], tmp_path: Path) -> None:
    made(request(locked), tmp_path / "one")
    with tarfile.open(tmp_path / "one" / "out.tar") as archive:
        files = [member.name for member in archive if member.isfile()]
    assert "usr/bin/tool" in files
    assert "usr/share/doc/library/copyright" in files
    assert not {"usr/share/doc/tool/x", "usr/share/doc/library/README", "etc/hostname", "etc/resolv.conf"} & set(files)
    assert [name for name in files if "mmdebstrap" in name or name.startswith("var/lib/apt")] == []


def test_neither_umask_nor_place_nor_time_zone_matter(
    locked: tuple[Lock, Path, Rootfs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = made(request(locked), tmp_path / "one")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    (tmp_path / "a place").mkdir()
    moved = replace(request(locked), repository=locked[1].rename(tmp_path / "a place" / "debian"))
    before = os.umask(0o077)
    try:
        found = made(moved, tmp_path / "a place" / "two")
    finally:
        os.umask(before)
    assert found == expected


def test_a_repository_without_a_locked_package_fails(locked: tuple[Lock, Path, Rootfs], tmp_path: Path) -> None:
    for deb in locked[1].glob("library*.deb"):
        deb.unlink()
    with pytest.raises(BuildError, match="failed with exit status") as caught:
        made(request(locked), tmp_path / "one")
    assert any("library" in line for line in caught.value.details)


def test_a_platform_that_can_not_run_here(locked: tuple[Lock, Path, Rootfs], tmp_path: Path) -> None:
    foreign = replace(request(locked), platform=Platform.parse("linux/s390x"))
    if (Path("/proc/sys/fs/binfmt_misc") / "qemu-s390x").exists():
        foreign = replace(foreign, platform=Platform.parse("linux/loong64"))
    with pytest.raises(EngineError, match="can't run on this machine"):
        made(foreign, tmp_path / "one")


@pytest.fixture
def ordinary_user() -> Iterator[pwd.struct_passwd]:
    """A user with subordinate ids: oneself, or, for root, one that is made for the test."""
    if os.geteuid() != 0:
        yield pwd.getpwuid(os.geteuid())
        return
    name = f"pkgtool-test-{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", "/tmp", name], check=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", "--force", name], check=True)


def test_root_and_an_ordinary_user_make_the_same_bytes(
    locked: tuple[Lock, Path, Rootfs], tmp_path: Path, ordinary_user: pwd.struct_passwd
) -> None:
    expected = made(request(locked), tmp_path / "one")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shutil.copytree(locked[1], place / "debian")
        place.chmod(0o755)
        os.chown(place, ordinary_user.pw_uid, ordinary_user.pw_gid)
        child = os.fork()
        if child == 0:  # whatever Python imports late has been imported by the first run
            status = 1
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(ordinary_user.pw_gid)
                    os.setuid(ordinary_user.pw_uid)
                made(replace(request(locked), repository=place / "debian"), place / "two")
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert (place / "two" / "out.tar").read_bytes() == expected


def test_a_user_without_subordinate_ids(
    locked: tuple[Lock, Path, Rootfs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(os, "geteuid", lambda: nobody.pw_uid)
    with pytest.raises(EngineError, match="/etc/subuid gives nobody no ids") as caught:
        made(request(locked), tmp_path / "one")
    assert caught.value.hint == "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 nobody"


@pytest.mark.network
@pytest.mark.slow
def test_the_real_base(tmp_path: Path) -> None:
    """pkg/base from Debian's archive, with its setup script, and the packages of its lock inside."""
    workspace = load(WorkingTree(BASE.parents[1]), LoadOptions(str(BASE.parents[1])))
    rootfs, lock = workspace.packages["base"].rootfs, read_lock(BASE / "inputs.lock")
    assert rootfs
    assert lock
    assert lock.debian
    assert lock.source_date_epoch
    store = Store(tmp_path / "store")
    with store.in_use(), Fetcher(store) as fetcher:
        stage(Staging("base", lock, (ARCH,), lock.source_date_epoch), tmp_path, fetcher, workspace.settings)
    wanted = RootfsRequest(
        title="base",
        platform=HERE,
        lock=lock.debian,
        rootfs=rootfs,
        repository=tmp_path / "inputs" / "debian",
        setup=BASE / rootfs.setup,
        epoch=lock.source_date_epoch,
    )
    made(wanted, tmp_path / "one")
    with tarfile.open(tmp_path / "one" / "out.tar") as archive:
        names = archive.getnames()
        status = archive.extractfile("var/lib/dpkg/status")
        assert status is not None
        assert status.read().count(b"Status: install ok installed") == len(lock.debian.for_architecture(ARCH))
    assert {"usr/local/sbin/install-inputs", "usr/bin/dpkg", "etc/apt/sources.list.d/debian.sources", "dev"} <= set(
        names
    )
    assert not any(name.startswith(("usr/share/man/", "usr/share/locale/", ".setup")) for name in names)
