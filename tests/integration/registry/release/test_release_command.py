"""`pkgtool release`: one tag on all packages, whole or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

from pkgtool.errors import ExitCode
from tests.support.command_line import CommandLine
from tests.support.registry import server
from tests.support.registry.built_tree import Built, fill
from tests.support.registry.refusals import refuse_tag
from tests.support.registry.server import State
from tests.support.tree import TreeBuilder

PACKAGES = ("alpha", "beta", "gamma")


def released(state: State, tag: str = "v1.2") -> dict[str, str]:
    return {name.removeprefix("linuxkit/"): digest for (name, own), digest in state.tags.items() if own == tag}


def indexes(state: State, pkgtool: CommandLine) -> dict[str, str]:
    shown = pkgtool("manifest", "--registry", state.address, "--json").ok().json
    return {item["package"]: item["index"] for item in shown}


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
