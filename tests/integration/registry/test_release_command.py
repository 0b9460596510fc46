"""`pkgtool release`, `promote`, `export` and `import`: one tag on all packages, carried around with its signatures."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
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
from tests.support.registry.built_tree import Built, fill
from tests.support.registry.images import assert_whole, referrer_of
from tests.support.registry.server import Modes, State, serving
from tests.support.signing import sign_all, signer
from tests.support.tree import TreeBuilder

PACKAGES = ("alpha", "beta", "gamma")


@pytest.fixture
def packages(tree: TreeBuilder) -> TreeBuilder:
    """Three packages for two platforms, committed."""
    for name in PACKAGES:
        tree.package(name, "arches: [amd64, arm64]\n")
    tree.commit()
    return tree


@pytest.fixture
def built(packages: TreeBuilder, pkgtool: CommandLine) -> Built:
    return fill(pkgtool)


@pytest.fixture
def state(built: Built, pkgtool: CommandLine) -> Iterator[State]:
    """A registry that has the tree."""
    with serving() as found:
        pkgtool("push", "--registry", found.address).ok()
        yield found


@pytest.fixture
def release(state: State, pkgtool: CommandLine, tmp_path: Path) -> Callable[..., object]:
    def run(*options: str, name: str = "v1.2"):
        return pkgtool("release", name, "--registry", state.address, "--file", str(tmp_path / f"{name}.json"), *options)

    return run


def released(state: State, tag: str = "v1.2") -> dict[str, str]:
    return {name.removeprefix("linuxkit/"): digest for (name, own), digest in state.tags.items() if own == tag}


def indexes(state: State, pkgtool: CommandLine) -> dict[str, str]:
    shown = pkgtool("manifest", "--registry", state.address, "--json").ok().json
    return {item["package"]: item["index"] for item in shown}


def refuse_tag(tag: str, repository: str) -> server.Interference:
    """The registry fails when `tag` of one repository is written."""

    def interfere(handler: server.Handler, method: str, path: str) -> bool:
        if method != "PUT" or path != f"/v2/linuxkit/{repository}/manifests/{tag}":
            return False
        handler.body()
        handler.error(403, "DENIED")
        return True

    return interfere


# -- release ----------------------------------------------------------------------------------------------


def test_a_release_tags_every_package_and_writes_what_it_is(
    state: State, release, packages: TreeBuilder, pkgtool: CommandLine, built: Built, tmp_path: Path
) -> None:
    ended = release().ok()
    assert "3 tags set" in ended.out
    assert released(state) == indexes(state, pkgtool)
    document = json.loads((tmp_path / "v1.2.json").read_text())
    assert document["name"] == "v1.2"
    assert document["git"] == {"commit": packages.git("rev-parse", "HEAD")}
    assert document["registry"] == state.address
    assert [entry["name"] for entry in document["packages"]] == list(PACKAGES)
    for entry in document["packages"]:
        name = entry["name"]
        assert entry["index"]["digest"] == released(state)[name]
        assert entry["tag"] == pkgtool("show-tag", name).ok().out.strip().rpartition(":")[2]
        assert entry["size"] > 0
        images = {str(platform): image for platform, image in built[name].items()}
        assert {p["platform"]: p["digest"] for p in entry["platforms"]} == {p: str(i.digest) for p, i in images.items()}
        assert all(p["size"] == images[p["platform"]].size and p["imageSize"] > 0 for p in entry["platforms"])
    state.forget()
    again = release().ok()
    assert "0 tags set, 3 were right" in again.out
    assert state.received == 0
    assert json.loads((tmp_path / "v1.2.json").read_text()) == document


def test_a_release_comes_from_a_git_tag_whatever_is_checked_out(
    state: State, release, packages: TreeBuilder, pkgtool: CommandLine, tmp_path: Path
) -> None:
    packages.git("tag", "v1.2")
    commit, before = packages.git("rev-parse", "HEAD"), indexes(state, pkgtool)
    packages.write("pkg/alpha/content", "a later commit\n")
    packages.commit()
    packages.write("pkg/beta/content", "and something dirty\n")
    assert release().code == ExitCode.SOURCE
    release("--git-tag", "v1.2").ok()
    assert released(state) == before
    assert json.loads((tmp_path / "v1.2.json").read_text())["git"] == {"commit": commit, "tag": "v1.2"}
    assert release("--git-tag", "v9").code == ExitCode.SOURCE

    packages.git("checkout", "-q", "--", "pkg/beta")
    packages.git("rm", "-rq", "pkg/alpha")
    packages.commit()
    release("--git-tag", "v1.2", "pkg/alpha").ok()
    (package,) = json.loads((tmp_path / "v1.2.json").read_text())["packages"]
    assert (package["name"], package["index"]["digest"]) == ("alpha", before["alpha"])


def test_nothing_is_tagged_of_a_tree_that_is_not_wholly_published(
    state: State, release, packages: TreeBuilder, pkgtool: CommandLine, tmp_path: Path
) -> None:
    packages.write("pkg/beta/content", "not pushed\n")
    packages.commit()
    fill(pkgtool, packages=["beta"])
    pkgtool("push", "--registry", state.address, "--platform", "linux/amd64", "beta").ok()
    refused = release()
    assert refused.code == ExitCode.REGISTRY
    assert "linux/arm64" in refused.err
    assert "linux/amd64" not in refused.err
    assert "pkgtool push beta" in refused.err
    assert not released(state)
    assert not (tmp_path / "v1.2.json").exists()


def test_a_dirty_tree_is_not_released(state: State, release, packages: TreeBuilder) -> None:
    packages.write("pkg/beta/content", "dirty\n")
    state.forget()
    refused = release()
    assert refused.code == ExitCode.SOURCE
    assert "beta" in refused.err
    assert not state.seen


def test_a_release_tag_is_immutable(state: State, release, packages: TreeBuilder, pkgtool: CommandLine) -> None:
    release().ok()
    first = released(state)
    packages.write("pkg/beta/content", "changed\n")
    packages.commit()
    fill(pkgtool, packages=["beta"])
    pkgtool("push", "--registry", state.address).ok()
    second = indexes(state, pkgtool)
    refused = release()
    assert refused.code == ExitCode.REGISTRY
    assert f"published: {first['beta']}" in refused.err
    assert f"ours:      {second['beta']}" in refused.err
    assert "pkgtool release v1.2 --replace v1.2" in refused.err
    assert released(state) == first
    assert release("--replace", "v1.3").code == ExitCode.USAGE
    moved = release("--replace", "v1.2").ok()
    assert f"was {first['beta']}, is {second['beta']}" in moved.err
    assert released(state) == second


def test_what_went_wrong_in_between_is_said_and_the_same_command_does_the_rest(
    state: State, release, pkgtool: CommandLine
) -> None:
    state.interfere = refuse_tag("v1.2", "beta")
    refused = release()
    assert refused.code == ExitCode.REGISTRY
    assert "1 of 3 tags could not be set" in refused.err
    assert f"not set: {state.address}/linuxkit/beta:v1.2" in refused.err
    assert set(released(state)) == {"alpha", "gamma"}
    state.interfere = None
    done = release().ok()
    assert "1 tags set, 2 were right" in done.out
    assert released(state) == indexes(state, pkgtool)


def test_a_release_that_was_begun_is_not_mixed_with_another(
    state: State, release, packages: TreeBuilder, pkgtool: CommandLine
) -> None:
    """The tree went on in between: what is tagged already belongs to the commit that it was begun from."""
    state.interfere = refuse_tag("v1.2", "beta")
    assert release().code == ExitCode.REGISTRY
    state.interfere = None
    begun, before = packages.git("rev-parse", "HEAD"), indexes(state, pkgtool)
    packages.write("pkg/gamma/content", "changed\n")
    packages.commit()
    fill(pkgtool, packages=["gamma"])
    pkgtool("push", "--registry", state.address).ok()
    refused = release()
    assert refused.code == ExitCode.SOURCE
    assert f"pkgtool release v1.2 --git-tag {begun}" in refused.err
    assert set(released(state)) == {"alpha", "gamma"}
    release("--git-tag", begun).ok()
    assert released(state) == before


def test_a_killed_release_goes_on(state: State, release, pkgtool: CommandLine, tmp_path: Path) -> None:
    """SIGKILL while one tag is being written: some are set, and the next run sets the rest."""
    waiting = []

    def hold(handler: server.Handler, method: str, path: str) -> bool:
        if method == "PUT" and path.endswith("/linuxkit/beta/manifests/v1.2"):
            waiting.append(path)
            while process.poll() is None:
                time.sleep(0.01)
            handler.close_connection = True
            return True
        return False

    state.interfere = hold
    command = ("release", "v1.2", "--registry", state.address, "--file", str(tmp_path / "v1.2.json"))
    process = pkgtool.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not waiting or set(released(state)) != {"alpha", "gamma"}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "v1.2.json").exists()
    state.interfere = None
    assert "1 tags set, 2 were right" in release().ok().out
    assert released(state) == indexes(state, pkgtool)
    assert not list(pkgtool.store.glob("pkgtool/releases/*")), "nothing is left of it"


# -- promote, export, import ------------------------------------------------------------------------------


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
