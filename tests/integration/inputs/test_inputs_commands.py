"""`pkgtool lock` and `pkgtool fetch` as a person meets them, and what is said of packages that have a network."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.values import Digest
from tests.support.command_line import CommandLine
from tests.support.faulty_server import FaultyServer, running
from tests.support.registry.registries import authority
from tests.support.tree import TreeBuilder

BODY = bytes(range(256)) * 4000
LOCK = "pkg/thing/inputs.lock"


@pytest.fixture
def url(server: FaultyServer) -> str:
    server.files["/tool.bin"] = BODY
    return f"{server.url}/tool.bin"


def plant(tree: TreeBuilder, *urls: str, **more: str) -> None:
    first, *mirrors = urls
    lines = ["org: team", "inputs:", "  files:", "    - name: tool.bin", f"      url: {first}"]
    lines += [f"      mirrors: [{', '.join(mirrors)}]"] if mirrors else []
    lines += [f"      {key}: {value}" for key, value in more.items()]
    tree.package("thing", "\n".join(lines) + "\n")
    tree.commit()


def kept(pkgtool: CommandLine) -> list[str]:
    """Whatever lies in the store's area for inputs."""
    place = pkgtool.store / "pkgtool" / "inputs"
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


# -- lock -------------------------------------------------------------------------------------------------


def test_a_lock_is_missing_then_written_then_current_then_stale(
    pkgtool: CommandLine, tree: TreeBuilder, url: str, server: FaultyServer
) -> None:
    plant(tree, url)
    missing = pkgtool("lock", "--check")
    assert missing.code == 1
    assert missing.err.splitlines() == [
        "error: the lock of thing does not answer what pkg/thing/build.yml asks for",
        f"  --> {LOCK}",
        "  | there is no lock",
        "hint: pkgtool lock thing",
    ]
    written = pkgtool("lock").ok()
    assert written.out.splitlines() == [f"{LOCK}: written", "  files:", f"    + tool.bin {url}"]
    before = pkgtool("show-tag", "thing").out
    tree.commit()
    assert pkgtool("show-tag", "thing").out != before, "the lock is part of the tag"
    assert pkgtool("lock", "--check").ok().out == "1 lock is current\n"
    server.requests.clear()
    assert pkgtool("lock").ok().out == f"{LOCK}: unchanged\n"
    assert not server.requests
    server.files["/v2.bin"] = b"another version"
    tree.write("pkg/thing/build.yml", (tree.root / "pkg/thing/build.yml").read_text().replace("tool.bin\n", "v2.bin\n"))
    stale = pkgtool("lock", "--check")
    assert stale.code == 1
    assert "the file tool.bin has changed in build.yml" in stale.err or "tool.bin" in stale.err
    assert pkgtool("build", "thing").code == 3, "a stale lock stops a build before it begins"


def test_update_moves_one_input_and_shows_what_moved(
    pkgtool: CommandLine, tree: TreeBuilder, url: str, server: FaultyServer
) -> None:
    plant(tree, url)
    pkgtool("lock").ok()
    server.files["/tool.bin"] = b"new bytes under the old name"
    assert pkgtool("lock").ok().out == f"{LOCK}: unchanged\n"
    old, new = (Digest.of(content).short for content in (BODY, b"new bytes under the old name"))
    moved = pkgtool("lock", "--update", "tool.bin", "thing").ok()
    assert moved.out.splitlines() == [f"{LOCK}: written", "  files:", f"    ~ tool.bin {url} [{old}] → {url} [{new}]"]
    unknown = pkgtool("lock", "--update", "nothing", "thing")
    assert unknown.code != 0
    assert "nothing" in unknown.err


def test_update_without_packages_moves_it_wherever_it_is_pinned(
    pkgtool: CommandLine, tree: TreeBuilder, url: str, server: FaultyServer
) -> None:
    plant(tree, url)
    files = "".join(f"    - name: {name}\n      url: {url}\n" for name in ("tool.bin", "more"))
    tree.package("other", f"org: team\ninputs:\n  files:\n{files}")
    tree.package("none", "org: team\n")
    tree.commit()
    pkgtool("lock").ok()
    server.files["/tool.bin"] = b"new"
    ended = pkgtool("lock", "--json", "--update", "tool.bin").ok()
    assert [(change["package"], "[" in change["difference"]) for change in ended.json] == [
        ("other", True),
        ("thing", True),
    ]
    assert "more" not in ended.json[0]["difference"]
    unknown = pkgtool("lock", "--update", "tool.bim")
    assert (unknown.code, unknown.err) == (
        2,
        "error: no lock has an input named tool.bim\nhint: did you mean tool.bin?\n",
    )


# -- fetch ------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(pkgtool: CommandLine, tree: TreeBuilder, url: str, mirror: FaultyServer) -> CommandLine:
    """A package with a file that two places have, locked, and nothing in the store."""
    mirror.files["/tool.bin"] = BODY
    plant(tree, url, f"{mirror.url}/tool.bin")
    pkgtool("lock").ok()
    tree.commit()
    for name in kept(pkgtool):
        (pkgtool.store / "pkgtool" / "inputs" / name).unlink()
    return pkgtool


def test_fetch_then_offline(locked: CommandLine, server: FaultyServer) -> None:
    absent = locked("build", "--offline", "thing")
    assert absent.code == 5
    assert "offline, and 1 input is not in the store" in absent.err
    assert "hint: with network: pkgtool fetch thing" in absent.err
    ended = locked("fetch", "--json", "--progress", "plain").ok()
    assert [line.partition("] ")[2].partition(" in ")[0] for line in ended.err.splitlines()[1:]] == [
        "fetch thing",
        "fetch thing: done",
    ]
    assert ended.json == [{"package": "thing", "inputs": 1, "fetched": 1, "size": len(BODY)}]
    assert kept(locked) == [f"sha256/{Digest.of(BODY).hex}"]
    assert locked("fetch", "--json").ok().json[0]["fetched"] == 0


def test_wrong_bytes_are_told_and_the_mirror_serves(locked: CommandLine, server: FaultyServer, url: str) -> None:
    server.faults["/tool.bin"] = ["wrong…"]
    ended = locked("fetch", "--progress", "plain").ok()
    assert f"tool.bin: {url}: wrong bytes: " in ended.err
    assert kept(locked) == [f"sha256/{Digest.of(BODY).hex}"]


def test_gone_everywhere_says_which_command_renews_the_lock(
    locked: CommandLine, server: FaultyServer, mirror: FaultyServer, url: str
) -> None:
    server.files.clear()
    mirror.files.clear()
    ended = locked("fetch", "--progress", "quiet")
    assert ended.code == 5
    assert ended.err.splitlines() == [
        "error: tool.bin could not be fetched from any of 2 places",
        f"  | {url}: answered 404 Not Found",
        f"  | {mirror.url}/tool.bin: answered 404 Not Found",
        "hint: it is gone; 'pkgtool lock --update tool.bin thing' locks what is there now",
    ]
    assert kept(locked) == []


def test_a_fetch_that_was_killed_goes_on_where_it_was(locked: CommandLine, server: FaultyServer) -> None:
    server.faults["/tool.bin"] = ["slow"]
    server.received.clear()
    partial = locked.store / "pkgtool" / "inputs" / "partial" / Digest.of(BODY).hex
    with locked.start("fetch") as process:
        assert server.received.wait(60)
        time.sleep(1)  # some of its bytes, one each twentieth of a second
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    had = partial.stat().st_size
    assert 0 < had < len(BODY)
    locked("fetch").ok()
    assert server.ranges[-1] == f"bytes={had}-"
    assert kept(locked) == [f"sha256/{Digest.of(BODY).hex}"]


def test_damage_in_the_store_is_named_and_fetched_again(locked: CommandLine) -> None:
    locked("fetch").ok()
    path = locked.store / "pkgtool" / "inputs" / "sha256" / Digest.of(BODY).hex
    path.write_bytes(bytes(len(BODY)))
    ended = locked("fetch", "--progress", "plain").ok()
    assert f"tool.bin in the store is damaged, removed: {path}" in ended.err
    assert path.read_bytes() == BODY


# -- closed networks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["pkgtool.yml", "environment"])
def test_a_closed_network_rewrites_urls(
    pkgtool: CommandLine, tree: TreeBuilder, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    server.files["/upstream/tool.bin"] = BODY
    if by == "environment":
        monkeypatch.setenv("PKGTOOL_MIRRORS", f"https://upstream.example/={server.url}/upstream/")
    else:
        tree.write("pkgtool.yml", f"mirrors:\n  https://upstream.example/: {server.url}/upstream/\n")
    plant(tree, "https://upstream.example/tool.bin")
    written = pkgtool("lock").ok()
    assert "https://upstream.example/tool.bin" in written.out
    lock = (tree.root / LOCK).read_text()
    assert server.url not in lock, "a lock is the same whatever the mirror"
    assert server.requests["/upstream/tool.bin"] == 1


@pytest.fixture
def private(tmp_path: Path) -> Iterator[tuple[FaultyServer, Path]]:
    """An HTTPS server whose certificate is by an authority of its own, and that authority's certificate."""
    made = authority(tmp_path / "authority")
    with running(tls=made.server) as state:
        state.files["/tool.bin"] = BODY
        yield state, made.ca


def test_an_authority_of_ones_own_counts_if_the_system_trusts_it(
    pkgtool: CommandLine, tree: TreeBuilder, private: tuple[FaultyServer, Path]
) -> None:
    server, certificate = private
    plant(tree, f"{server.url}/tool.bin")
    refused = pkgtool.run("lock", env={"SSL_CERT_FILE": os.devnull})
    assert refused.code == 5
    assert "certificate verify failed" in refused.err
    assert kept(pkgtool) == []
    pkgtool.run("lock", env={"SSL_CERT_FILE": str(certificate)}).ok()
    assert kept(pkgtool) == [f"sha256/{Digest.of(BODY).hex}"]


# -- packages that are not hermetic -----------------------------------------------------------------------


def test_a_package_with_a_network_is_marked(pkgtool: CommandLine, tree: TreeBuilder) -> None:
    tree.package("open", "org: team\nnetwork: true\n")
    tree.package("closed", "org: team\n")
    tree.commit()
    assert {p["name"]: p["hermetic"] for p in pkgtool("list", "--json").ok().json} == {"open": False, "closed": True}
    rows = {line.split()[0]: line.split()[3] for line in pkgtool("list").ok().out.splitlines()}
    assert rows == {"PACKAGE": "HERMETIC", "open": "no", "closed": "yes"}
    steps = pkgtool("plan", "--json").ok().json["steps"]
    assert {step["package"]: step["hermetic"] for step in steps} == {"open": False, "closed": True}
    lines = pkgtool("plan").ok().out.splitlines()
    assert [("not hermetic: has the network" in line) for line in lines if line.startswith("build ")] == [False, True]


@pytest.mark.engine
def test_the_provenance_says_whether_there_was_a_network(pkgtool: CommandLine, tree: TreeBuilder) -> None:
    tree.package("open", "org: team\nnetwork: true\n")
    tree.package("closed", "org: team\n")
    tree.commit()
    pkgtool.run("build", "--engine", "buildah").ok()
    found = {
        each["predicate"]["buildDefinition"]["externalParameters"]["package"]: each["predicate"]["buildDefinition"][
            "internalParameters"
        ]["hermetic"]
        for each in pkgtool("provenance", "--json").ok().json
    }
    assert found == {"team/open": False, "team/closed": True}


def test_no_package_of_this_tree_has_a_network() -> None:
    from tests.support.command_line import PROJECT

    listed = CommandLine(PROJECT, Path("/nonexistent"))("list", "--json").ok().json
    assert listed
    assert [package["name"] for package in listed if not package["hermetic"]] == []
