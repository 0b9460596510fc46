"""`pkgtool pull`, and `build` that takes what the registry has: silence of a registry is never absence."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from pkgtool.oci.store import Store
from tests.support.command_line import CommandLine
from tests.support.registry import registries, server
from tests.support.registry.built_tree import fill
from tests.support.registry.images import AMD64, ARM64
from tests.support.registry.server import serving
from tests.support.tree import TreeBuilder

PACKAGES = ("alpha", "beta")


@pytest.fixture
def empty(packages: TreeBuilder, tmp_path: Path) -> CommandLine:
    """The same tree on a machine that has built nothing."""
    return CommandLine(packages.root, tmp_path / "empty-store")


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that can't build: whoever tries fails."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")


def test_what_is_published_is_pulled(packages: TreeBuilder, pkgtool: CommandLine, empty: CommandLine) -> None:
    built = fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        state.forget()
        done = empty("pull", "--registry", state.address, "--json").ok()
        assert [image["result"] for image in done.json["images"]] == ["pulled"] * 4
        assert all(seen.method in ("GET", "HEAD") for seen in state.seen)
        layout = Store(empty.store).layout
        for name, images in built.items():
            for platform, image in images.items():
                reference = empty("show-tag", name).ok().out.strip()
                assert layout.resolve(f"{reference}-{platform.arch}").digest == image.digest
        state.forget()
        empty("pull", "--registry", state.address).ok()
        assert not state.seen, "the store has it: nobody is asked"
        assert empty("store", "verify").code == 0


def test_one_platform_is_pulled(packages: TreeBuilder, pkgtool: CommandLine, empty: CommandLine) -> None:
    built = fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        empty("pull", "--registry", state.address, "--platform", "linux/arm64", "alpha").ok()
        layout = Store(empty.store).layout
        assert layout.has(built["alpha"][ARM64])
        assert not layout.has(built["alpha"][AMD64])
        assert not layout.has(built["beta"][ARM64])


def test_a_tag_that_was_moved_beside_its_index_is_noticed(
    packages: TreeBuilder, pkgtool: CommandLine, empty: CommandLine
) -> None:
    built = fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        tag = pkgtool("show-tag", "alpha").ok().out.strip().rpartition(":")[2]
        state.tags["linuxkit/alpha", f"{tag}-amd64"] = str(built["alpha"][ARM64].digest)
        refused = empty("pull", "--registry", state.address, "--platform", "linux/amd64", "alpha")
        assert refused.code == ExitCode.REGISTRY
        assert f"has two images under {tag} for linux/amd64: somebody moved a tag" in refused.err
        assert all(str(built["alpha"][platform].digest) in refused.err for platform in (AMD64, ARM64))
        empty("pull", "--registry", state.address, "--platform", "linux/arm64", "alpha").ok()


def test_what_is_not_published_can_not_be_pulled(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    with serving() as state:
        refused = pkgtool("pull", "--registry", state.address)
        assert refused.code == ExitCode.REGISTRY
        assert "alpha" in refused.err
        assert "pkgtool push" in refused.err


def test_build_takes_what_is_published(
    packages: TreeBuilder, pkgtool: CommandLine, empty: CommandLine, no_engine: None
) -> None:
    fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        done = empty("build", "--registry", state.address, "--platform", "linux/amd64,linux/arm64").ok()
        assert done.out.count("pulled") == len(PACKAGES) * 2
        state.forget()
        empty("build", "--registry", state.address, "--platform", "linux/amd64,linux/arm64").ok()
        assert not state.seen, "what is in the store is not asked for"


def test_a_dirty_package_is_not_taken_from_anywhere(
    packages: TreeBuilder, pkgtool: CommandLine, empty: CommandLine, no_engine: None
) -> None:
    fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        packages.write("pkg/alpha/content", "changed\n")
        state.forget()
        refused = empty("build", "--registry", state.address, "alpha")
        assert refused.code == ExitCode.ENGINE
        assert not any("/manifests/" in seen.path for seen in state.seen)


@pytest.mark.engine
def test_no_pull_builds(packages: TreeBuilder, pkgtool: CommandLine, empty: CommandLine) -> None:
    fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        state.forget()
        done = empty("build", "--registry", state.address, "--no-pull", "alpha").ok()
        assert "built" in done.out
        assert not state.seen


# -- a registry that can't answer -------------------------------------------------------------------------


def _status(code: int) -> server.Interference:
    def refuse(handler: server.Handler, method: str, path: str) -> bool:
        handler.body()
        handler.error(code, "SOMETHING")
        return True

    return refuse


def _page(handler: server.Handler, method: str, path: str) -> bool:
    handler.answer(200, b"<!DOCTYPE html><html>Log in</html>", Content_Type="text/html")
    return True


def _reset(handler: server.Handler, method: str, path: str) -> bool:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


TROUBLES = {
    "401": _status(401),
    "403": _status(403),
    "400": _status(400),
    "429": _status(429),
    "500": _status(500),
    "503": _status(503),
    "page": _page,
    "reset": _reset,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_registry_that_can_not_answer_is_an_error(
    trouble: str, packages: TreeBuilder, empty: CommandLine, impatient: None, no_engine: None
) -> None:
    """Whatever it is that it says instead of yes or no: nothing is built behind its back."""
    with serving() as state:
        state.interfere = TROUBLES[trouble]
        for command in ("build", "pull", "push"):
            refused = empty(command, "--registry", state.address, "alpha")
            assert refused.code == ExitCode.REGISTRY, (command, refused.err)
            assert "Traceback" not in refused.err


def test_a_registry_that_is_not_there_is_an_error(packages: TreeBuilder, empty: CommandLine, impatient: None) -> None:
    address = f"127.0.0.1:{registries.free_port()}"
    refused = empty("build", "--registry", address, "alpha")
    assert refused.code == ExitCode.REGISTRY
    assert address in refused.err
    assert "hint:" in refused.err


@pytest.mark.engine
def test_an_optional_registry_that_can_not_answer_is_a_warning(
    packages: TreeBuilder, empty: CommandLine, impatient: None
) -> None:
    address = f"127.0.0.1:{registries.free_port()}"
    done = empty("build", "--registry", address, "--registry-optional", "alpha").ok()
    assert "warning:" in done.err
    assert address in done.err
    assert "built" in done.out


@pytest.mark.engine
def test_an_optional_registry_that_breaks_in_the_middle_is_a_warning(
    packages: TreeBuilder, pkgtool: CommandLine, empty: CommandLine, impatient: None
) -> None:
    """It answers that it has the image, and then can't give it."""
    fill(pkgtool)

    def no_blobs(handler: server.Handler, method: str, path: str) -> bool:
        if method != "GET" or "/blobs/" not in path:
            return False
        handler.error(500, "SOMETHING")
        return True

    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        state.interfere = no_blobs
        assert empty("build", "--registry", state.address, "alpha").code == ExitCode.REGISTRY
        done = empty("build", "--registry", state.address, "--registry-optional", "alpha").ok()
        assert "warning:" in done.err
        assert "built" in done.out


def test_a_pull_through_cache(packages: TreeBuilder, pkgtool: CommandLine, empty: CommandLine, tmp_path: Path) -> None:
    """docker-registry as a mirror of another registry: it gives what the other has, and takes no push."""
    built = fill(pkgtool)
    with (
        registries.docker_registry(tmp_path / "upstream") as upstream,
        registries.docker_registry(tmp_path / "mirror", upstream=upstream) as mirror,
    ):
        pkgtool("push", "--registry", upstream).ok()
        done = empty("build", "--registry", mirror, "--platform", "linux/amd64,linux/arm64").ok()
        assert done.out.count("pulled") == len(PACKAGES) * 2
        layout = Store(empty.store).layout
        assert all(layout.has(image) for images in built.values() for image in images.values())
        shown = pkgtool("manifest", "--registry", mirror, "--json").ok().json
        assert all(len(item["platforms"]) == 2 for item in shown)
        pkgtool("push", "--registry", mirror).ok()  # all of it is there: nothing has to be written
        packages.write("pkg/alpha/content", "changed\n")
        packages.commit()
        fill(pkgtool, packages=["alpha"])
        refused = pkgtool("push", "--registry", mirror, "alpha")
        assert refused.code == ExitCode.REGISTRY
        assert f"{mirror}/v2/linuxkit/alpha" in refused.err
        assert pkgtool("manifest", "--registry", upstream, "alpha").code == ExitCode.REGISTRY


def test_an_environment_proxy_is_used(
    packages: TreeBuilder, empty: CommandLine, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    """The registry is far away and reached through a proxy, which is shown what is asked for."""
    packages.write("pkgtool.yml", "insecure-registries: [registry.invalid]\n")
    packages.commit()
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        monkeypatch.setenv("https_proxy", f"http://{proxy.address}")
        refused = empty("manifest", "--registry", "registry.invalid", "alpha")
        assert refused.code == ExitCode.REGISTRY
        assert any(seen.path.startswith("http://registry.invalid/v2/") for seen in proxy.seen)
