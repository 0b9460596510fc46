"""`pkgtool store`: what is in it, what of it is sound, what may go, and what is carried elsewhere."""

from __future__ import annotations

import json
import os
import tarfile
import time
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from tests.support import built_tree
from tests.support.command_line import CommandLine
from tests.support.tree import TreeBuilder

LONG_AGO = 60 * 86400
LOCKED = b"what the lock names"


@pytest.fixture
def filled(tree: TreeBuilder, pkgtool: CommandLine) -> CommandLine:
    """A store with two packages, one of which has moved on since."""
    tree.package("a")
    tree.package("b")
    tree.commit()
    built_tree.build(tree.root, pkgtool.store)
    return pkgtool


def references(pkgtool: CommandLine) -> set[str]:
    return {entry["reference"] for entry in pkgtool("store", "ls", "--json").ok().json}


def names(pkgtool: CommandLine) -> list[str]:
    return sorted(reference.partition(":")[0].rpartition("/")[2] for reference in references(pkgtool))


def age(directory: Path, seconds: float) -> None:
    """Let everything below seem to have been left alone for so long."""
    then = time.time() - seconds
    for path in directory.rglob("*"):
        os.utime(path, (then, then))


def test_what_no_current_tag_needs_goes_once_it_is_old(tree: TreeBuilder, filled: CommandLine) -> None:
    before = references(filled)
    tree.write("pkg/a/content", "something else\n")
    tree.commit()
    kept = filled("store", "gc").ok().out
    assert "0 references, 0 results" in kept
    assert "not used for 2w" in kept
    assert references(filled) == before

    age(filled.store, LONG_AGO)
    said = filled("store", "gc", "--dry-run").ok().out
    assert said.startswith("2 references, 1 results, ")
    assert references(filled) == before
    assert filled("store", "gc").ok().out == said.replace("would be removed", "removed")
    assert names(filled) == ["b", "b"]
    assert filled("store", "verify").code == 0
    assert filled("plan", "--json", "b").ok().json["steps"][0]["done"]


def test_what_is_young_goes_when_it_has_to_fit(tree: TreeBuilder, filled: CommandLine) -> None:
    for package in "ab":
        tree.write(f"pkg/{package}/content", "something else\n")
    tree.commit()
    assert "0 references" in filled("store", "gc", "--max-size", "1G").ok().out
    said = filled("store", "gc", "--max-size", "1").ok().out
    assert said.startswith("4 references, 2 results, ")
    assert "did not fit into 1 B" in said
    assert references(filled) == set()


def test_inputs_stay_as_long_as_a_lock_names_them(tree: TreeBuilder, pkgtool: CommandLine, tmp_path: Path) -> None:
    source = tmp_path / "input"
    source.write_bytes(LOCKED)
    tree.package("a", f'inputs:\n  files:\n  - {{name: input, url: "{source.as_uri()}"}}\n')
    tree.commit()
    pkgtool("lock").ok()
    stored = [path for path in (pkgtool.store / "pkgtool" / "inputs" / "sha256").iterdir() if path.is_file()]
    assert [path.read_bytes() for path in stored] == [LOCKED]
    age(pkgtool.store, LONG_AGO)
    assert "0 inputs removed" in pkgtool("store", "gc").ok().out
    assert stored[0].exists()
    tree.package("a")
    (tree.root / "pkg/a/inputs.lock").unlink()
    assert "1 inputs removed" in pkgtool("store", "gc").ok().out
    assert not stored[0].exists()


def test_damage_is_found_taken_out_and_made_anew(filled: CommandLine, tree: TreeBuilder) -> None:
    blob = max((filled.store / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    with blob.open("ab") as file:
        file.write(b"x")
    said = filled("store", "verify")
    assert said.code == ExitCode.CHECK_FAILED
    assert f"blob sha256:{blob.name} in the store is damaged" in said.err
    assert filled("store", "verify", "--json").json["problems"]
    assert "removed: " in filled("store", "verify", "--repair").ok().out
    assert filled("store", "verify").code == 0
    built_tree.build(tree.root, filled.store)
    assert filled("store", "verify").code == 0
    assert names(filled) == ["a", "a", "b", "b"]


def test_an_archive_has_the_name_and_what_was_asked_for(filled: CommandLine, tmp_path: Path) -> None:
    reference = filled("show-tag", "a").ok().out.strip()
    whole, one, loadable = (tmp_path / name for name in ("whole.tar", "one.tar", "docker.tar"))
    index = filled("store", "export", "a", str(whole)).ok().out.strip()
    image = filled("store", "export", "--platform", "linux/amd64", "a", str(one)).ok().out.strip()
    assert filled("store", "export", "--form", "docker", reference, str(loadable)).ok().out.strip() == image
    for archive, digest in ((whole, index), (one, image)):
        (root,) = member(archive, "index.json")["manifests"]
        assert root["digest"] == digest
        assert root["annotations"]["org.opencontainers.image.ref.name"] == reference
    assert member(loadable, "manifest.json")[0]["RepoTags"] == [reference]


def member(archive: Path, name: str) -> dict:
    with tarfile.open(archive) as tar:
        content = tar.extractfile(name)
        assert content
        return json.load(content)


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_a_platform_that_is_not_there_is_said(filled: CommandLine, tmp_path: Path, form: str) -> None:
    target = tmp_path / "archive.tar"
    said = filled("store", "export", "--form", form, "--platform", "linux/arm64", "a", str(target))
    assert said.code == ExitCode.USAGE
    assert "has no image for linux/arm64, only for linux/amd64" in said.err
    assert (
        filled("store", "export", "--form", form, "--platform", "linux/amd64,linux/arm64", "a", str(target)).code == 2
    )
    assert not target.exists()


def test_what_is_not_there_is_said(filled: CommandLine, tmp_path: Path) -> None:
    said = filled("store", "export", "test/none:1", str(tmp_path / "x.tar"))
    assert said.code == ExitCode.STORE
    assert "error: the store has no reference test/none:1" in said.err
    assert filled("store", "path").ok().out.strip() == str(filled.store)
