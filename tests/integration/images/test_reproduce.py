"""`pkgtool reproduce`: built again elsewhere, by another engine, at another time; what differs is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.images.conftest import with_busybox
from tests.support.command_line import CommandLine
from tests.support.docker_engines import DockerEngine
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def steady(tree: TreeBuilder) -> str:
    """A package whose steps leave what is easily different: names from a listing, files with the umask's mode."""
    steps = (
        "COPY content /content",
        "RUN ls /bin > /listing; umask > /umask; mkdir -p /made/deep; echo x > /made/x",
    )
    with_busybox(tree, "steady", *steps, build_yml="org: team\narches: [amd64]\n", content="content\n")
    tree.commit()
    return "steady"


def test_the_same_bytes_are_said_to_be_the_same_and_the_store_stays_as_it_was(
    pkgtool: CommandLine, steady: str
) -> None:
    pkgtool.run("build", steady).ok()
    before = _files(pkgtool.store)
    [found] = pkgtool.run("reproduce", "--json", steady).ok().json
    assert found["same"] is True
    assert found["original"]["digest"] == found["rebuilt"]["digest"]
    assert found["original"]["madeBy"].startswith("buildah ")
    assert _files(pkgtool.store) == before


def _files(store: Path) -> list[tuple[str, int]]:
    """What is in a store's OCI layout, and when it was written."""
    own = (file for file in store.rglob("*") if file.is_file() and store / "pkgtool" not in file.parents)
    return sorted((str(file), file.stat().st_mtime_ns) for file in own)


@pytest.mark.network
@pytest.mark.xdist_group("docker")
def test_another_engine_makes_the_same_bytes(
    pkgtool: CommandLine, steady: str, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pkgtool.run("build", steady).ok()
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    ended = pkgtool.run("reproduce", "--json", steady)
    [found] = ended.ok().json
    assert (found["original"]["madeBy"].split()[0], found["rebuilt"]["madeBy"].split()[0]) == ("buildah", "docker")
    assert found["same"] is True


def test_what_differs_is_named_and_laid_out(pkgtool: CommandLine, tree: TreeBuilder) -> None:
    with_busybox(
        tree,
        "wild",
        "RUN mkdir -p /srv && cat /proc/sys/kernel/random/uuid > /srv/uuid",
    )
    tree.commit()
    ended = pkgtool.run("reproduce", "wild")
    assert ended.code == 1
    assert "1 of 1 images came out differently" in ended.err
    assert "changed srv/uuid: content" in ended.err
    [hint] = [line for line in ended.err.splitlines() if line.startswith("hint: diffoscope ")]
    original, rebuilt = map(Path, hint.removeprefix("hint: diffoscope ").split())
    before, after = (place / "srv" / "uuid" for place in (original, rebuilt))
    assert before.read_text() != after.read_text()
    assert {path.name for path in original.rglob("*") if path.is_file()} == {"uuid"}
    assert "DIFFERENT" in ended.out


def test_a_build_that_fails_is_no_difference(pkgtool: CommandLine, tree: TreeBuilder) -> None:
    with_busybox(tree, "broken", "RUN exit 3")
    tree.commit()
    assert pkgtool.run("reproduce", "broken").code == 7


# -- published references ---------------------------------------------------------------------------------


def _key(pkgtool: CommandLine, place: Path) -> tuple[str, ...]:
    """The options for a new key."""
    (place / "password").write_text("only for this test")
    password = ("--key-password-file", str(place / "password"))
    pkgtool("key", "generate", str(place / "mine"), *password).ok()
    return ("--key", str(place / "mine.key"), *password)


def test_a_published_reference_is_rebuilt_from_its_commit(
    pkgtool: CommandLine, tree: TreeBuilder, steady: str, registry: str, tmp_path: Path
) -> None:
    place = f"{registry}/mine"
    pkgtool.run("push", "--registry", place, steady).ok()
    reference = f"{place}/{pkgtool('show-tag', steady).ok().out.strip()}"

    unsigned = pkgtool.run("reproduce", reference)
    assert unsigned.code == 11
    assert "has no provenance that says what it was built from" in unsigned.err

    pkgtool.run("sign", "--registry", place, *_key(pkgtool, tmp_path), steady).ok()
    tree.write("pkg/steady/content", "newer\n")
    tree.commit("the tree has gone on")
    shutil.rmtree(pkgtool.store)  # a stranger has nothing but the reference and the repository
    ended = pkgtool.run("reproduce", "--json", reference)
    [found] = ended.ok().json
    assert found["same"] is True
    assert not list((tmp_path / "tmp").glob("pkgtool-checkout-*"))

    stranger = CommandLine(tmp_path, tmp_path / "store")
    nothing_here = stranger("reproduce", reference)
    assert nothing_here.code == 4
    assert "does not have the commit" in nothing_here.err
    assert "--source URL" in nothing_here.err
    assert stranger.run("reproduce", "--json", "--source", str(tree.root), reference).ok().json == [found]

    pkgtool.run("push", "--registry", place, steady).ok()
    newer = f"{place}/{pkgtool('show-tag', steady).ok().out.strip()}"
    compared = stranger("diff", reference, newer)
    assert compared.code == 1
    assert "    ~ content: size 8 → 6" in compared.out.splitlines()
    assert stranger("diff", newer, newer).code == 0
    absent = stranger("diff", newer, f"{newer}1")
    assert (absent.code, absent.err.splitlines()[0]) == (9, f"error: {newer}1 is not in {registry}")


def test_references_and_packages_are_not_mixed(pkgtool: CommandLine, steady: str) -> None:
    ended = pkgtool("reproduce", steady, "localhost:1/team/x:y")
    assert (ended.code, ended.err) == (2, "error: name either packages or references\n")
    assert pkgtool("reproduce", "--source", ".", steady).code == 2
