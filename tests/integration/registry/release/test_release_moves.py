"""`pkgtool promote`, `export` and `import`: a release carried around with its signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from pkgtool.release import Release
from pkgtool.values import Digest
from tests.support import sid_tools
from tests.support.command_line import CommandLine
from tests.support.registry import registries, server
from tests.support.registry.built_tree import fill
from tests.support.registry.images import assert_whole, referrer_of
from tests.support.registry.server import Modes, State, serving
from tests.support.signing import sign_all, signer
from tests.support.tree import TreeBuilder

PACKAGES = ("alpha", "beta", "gamma")


def decorate(address: str, release: Release) -> dict[str, set[str]]:
    """Sign everything in both formats, and attach an artifact of some other tool; what belongs to each package."""
    with Registry(address, RegistrySettings(certificates=())) as registry:
        for package in release.packages:
            repository = registry.repository(package.repository)
            sign_all(repository, package.tag)
            for image in package.images:
                described = repository.resolve(image.digest)
                assert described
                repository.attach(referrer_of(repository, described, "application/vnd.example.scan", b"clean"))
    return companions_at(address, release)


def companions_at(address: str, release: Release) -> dict[str, set[str]]:
    """The signature tags and the referrers of each package, by what they are."""
    found: dict[str, set[str]] = {}
    with Registry(address, RegistrySettings(certificates=())) as registry:
        for package in release.packages:
            repository = registry.repository(package.repository)
            tags = {tag for tag in repository.tags() if tag.endswith((".sig", ".att", ".sbom"))}
            subjects = [package.index.digest, *(image.digest for image in package.images)]
            referrers = {str(r.digest) for subject in subjects for r in repository.referrers(subject)}
            found[package.name] = tags | referrers
    return found


def assert_moved(address: str, release: Release, companions: dict[str, set[str]]) -> None:
    """Every tag, every byte and every signature of the release is at `address`."""
    with Registry(address, RegistrySettings(certificates=())) as registry:
        for package in release.packages:
            repository = registry.repository(package.repository)
            for tag in (package.tag, release.name):
                assert assert_whole(repository, tag).digest == package.index.digest
            for image in package.images:
                single = repository.resolve(f"{package.tag}-{image.platform.suffix}")
                assert single
                assert single.digest == image.digest
    assert companions_at(address, release) == companions


@pytest.fixture
def moving(state: State, release, tmp_path: Path) -> tuple[str, Release, dict[str, set[str]]]:
    """A decorated release: its file, what is in it, and what belongs to it."""
    release().ok()
    file = tmp_path / "v1.2.json"
    found = Release.read(file)
    companions = decorate(state.address, found)
    assert all(len(each) >= 5 for each in companions.values())
    return str(file), found, companions


@pytest.mark.parametrize("referrers", [True, False], ids=["referrers", "fallback tags"])
def test_a_release_is_promoted_with_its_signatures(referrers: bool, state: State, moving, pkgtool: CommandLine) -> None:
    file, found, companions = moving
    with serving(Modes(referrers=referrers)) as target:
        pkgtool("promote", "--release", file, state.address, target.address).ok()
        assert_moved(target.address, found, companions)
        target.forget()
        again = pkgtool("promote", "--release", file, state.address, target.address, "--json").ok()
        assert {item["companions"] for item in again.json} == {0}
        assert target.received == 0, "a second time nothing is sent"


def test_a_promotion_below_another_prefix_of_one_registry_mounts(state: State, moving, pkgtool: CommandLine) -> None:
    file, found, companions = moving
    state.forget()
    pkgtool("promote", "--release", file, state.address, f"{state.address}/released").ok()
    assert_moved(f"{state.address}/released", found, companions)
    assert not any(
        seen.method in ("PUT", "PATCH") and "/blobs/" in seen.path and seen.size > 1000 for seen in state.seen
    )


def test_a_promotion_that_fails_tags_nothing_and_goes_on(state: State, moving, pkgtool: CommandLine) -> None:
    file, found, companions = moving

    def refuse(handler: server.Handler, method: str, path: str) -> bool:
        if method == "GET" or "/gamma/" not in path or "/blobs/" not in path:
            return False
        handler.body()
        handler.error(403, "DENIED")
        return True

    with serving() as target:
        target.interfere = refuse
        refused = pkgtool("promote", "--release", file, state.address, target.address)
        assert refused.code == ExitCode.REGISTRY
        assert not {tag for _, tag in target.tags if tag == "v1.2"}
        target.interfere = None
        pkgtool("promote", "--release", file, state.address, target.address).ok()
        assert_moved(target.address, found, companions)


def test_a_promotion_does_not_move_what_is_published_there(
    state: State, moving, pkgtool: CommandLine, packages: TreeBuilder, tmp_path: Path
) -> None:
    file, found, companions = moving
    other = CommandLine(packages.root, tmp_path / "other-store")
    fill(other, seed="other")
    with serving() as target:
        other("push", "--registry", target.address, "beta").ok()
        before = dict(target.tags)
        target.forget()
        refused = pkgtool("promote", "--release", file, state.address, target.address)
        assert refused.code == ExitCode.REGISTRY
        assert "already published with other content" in refused.err
        assert f"pkgtool promote {state.address} {target.address} --replace" in refused.err
        assert target.received == 0, "nothing was sent"
        assert target.tags == before
        beta = next(package for package in found.packages if package.name == "beta")
        tags = [beta.tag, *(f"{beta.tag}-{image.platform.suffix}" for image in beta.images)]
        allowed = [word for tag in tags for word in ("--replace", tag)]
        moved = pkgtool("promote", "--release", file, state.address, target.address, *allowed).ok()
        assert "replaced what was published" in moved.err
        assert_moved(target.address, found, companions)


@pytest.mark.parametrize("name", ["v1.2.tar", "directory"])
def test_a_release_goes_through_a_closed_network(
    name: str, state: State, moving, pkgtool: CommandLine, tmp_path: Path
) -> None:
    """Out through a directory or archive, in with nothing but that: on a machine without the tree."""
    file, found, companions = moving
    path = tmp_path / "carried" / name
    pkgtool("export", "--release", file, str(path)).ok()
    assert pkgtool("export", "--release", file, str(path)).code == ExitCode.USAGE, "what is there is not overwritten"
    far = tmp_path / "far"
    far.mkdir()
    elsewhere = CommandLine(far, tmp_path / "far-store")
    with serving() as target:
        elsewhere("import", str(path), f"{target.address}/closed").ok()
        assert_moved(f"{target.address}/closed", found, companions)
        target.forget()
        elsewhere("import", str(path), f"{target.address}/closed").ok()
        assert target.received == 0
    _others_read(path, found, tmp_path)


def _others_read(path: Path, found: Release, directory: Path) -> None:
    """The layout is one that other tools read."""
    layout = path
    if path.suffix == ".tar":
        layout = directory / "unpacked"
        layout.mkdir()
        subprocess.run(["tar", "-xf", path, "-C", layout], check=True)
    package = found.packages[0]
    name = f"{package.repository}:{found.name}"
    skopeo = registries.require("skopeo", "skopeo")
    command = [skopeo, "inspect", "--raw", f"oci:{layout}:{name}"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    assert Digest.of(raw) == package.index.digest


def test_a_damaged_archive_is_not_imported(state: State, moving, pkgtool: CommandLine, tmp_path: Path) -> None:
    file, *_ = moving
    path = tmp_path / "carried"
    pkgtool("export", "--release", file, str(path)).ok()
    layer = max((path / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    content = bytearray(layer.read_bytes())
    content[len(content) // 2] ^= 1
    layer.chmod(0o644)
    layer.write_bytes(content)
    with serving() as target:
        refused = pkgtool("import", str(path), target.address)
        assert refused.code in (ExitCode.REGISTRY, ExitCode.STORE)
        assert layer.name[:12] in refused.err
        assert not {tag for _, tag in target.tags if tag == "v1.2"}


def test_what_is_no_release_is_refused(pkgtool: CommandLine, packages: TreeBuilder, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.json").write_text("{}")
    assert pkgtool("import", str(tmp_path / "empty"), "localhost:1").code == ExitCode.STORE
    assert pkgtool("promote", "--release", str(tmp_path / "file.json"), "a:1", "b:1").code == ExitCode.CONFIGURATION
    assert pkgtool("export", "--release", str(tmp_path / "absent.json"), str(tmp_path / "x")).code == (
        ExitCode.CONFIGURATION
    )


@pytest.mark.network
def test_signatures_are_good_where_they_went(state: State, moving, pkgtool: CommandLine, tmp_path: Path) -> None:
    """cosign accepts them at the target, in both formats, and no other key's."""
    file, found, _ = moving
    cosign = sid_tools.program("cosign")
    for name in ("ours", "other"):
        (tmp_path / f"{name}.pub").write_text(signer(name).public_key.pem)
    package = found.packages[0]

    def accepts(key: str, digest: Digest, *options: str) -> bool:
        reference = f"{target.address}/{package.repository}@{digest}"
        keys = ("--key", str(tmp_path / f"{key}.pub"))
        command = [cosign, "verify", "--insecure-ignore-tlog", *keys, *options, reference]
        return subprocess.run(command, capture_output=True).returncode == 0

    with serving() as target:
        pkgtool("promote", "--release", file, state.address, target.address).ok()
        for digest in (package.index.digest, *(image.digest for image in package.images)):
            for options in ((), ("--new-bundle-format=false",)):
                assert accepts("ours", digest, *options)
        assert not accepts("other", package.index.digest)
