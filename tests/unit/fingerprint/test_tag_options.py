"""LinuxKit's options that change tags by hand: --hash, --hash-commit, --hash-path, --tag, --force-dirty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.tags import is_dirty, linuxkit_hash, shown, tag
from tests.support.tree import TreeBuilder


@pytest.fixture
def package(tree: TreeBuilder) -> str:
    path = tree.package("a")
    tree.commit("one")
    return path


def test_hash_stands_in_for_the_hash(tree: TreeBuilder, pkgtool: CommandLine, package: str) -> None:
    assert tag(pkgtool, "a", "--hash", "abc") == "abc"
    tree.write(f"{package}/new", "x")
    assert tag(pkgtool, "a", "--hash", "abc") == "abc"
    assert tag(pkgtool, "a", "--hash", "abc", "--tag", "v-{{.Hash}}") == "v-abc"


@pytest.mark.parametrize("text", ["a b", "-a", "a/b", "x" * 130, "é"])
def test_a_hash_that_can_be_in_no_tag(pkgtool: CommandLine, package: str, text: str) -> None:
    ended = pkgtool("show-tag", f"--hash={text}", "a")
    assert ended.code == 2
    assert "--hash" in ended.err


@pytest.mark.parametrize("option", ["--org=Bad Org", "--org=", "--tag={{.Nothing}}", "--tag=a b", "--tag="])
def test_other_options_that_can_be_in_no_reference(pkgtool: CommandLine, package: str, option: str) -> None:
    ended = pkgtool("show-tag", option, "a")
    assert ended.code == 2
    assert ended.err.startswith("error: --"), "the command line is wrong, no file"


def test_hash_commit_looks_at_another_commit(tree: TreeBuilder, pkgtool: CommandLine, package: str) -> None:
    first = tree.tree_id(package)
    tree.write(f"{package}/content", "two\n")
    tree.commit("two")
    tree.write(f"{package}/content", "dirty\n")
    assert tag(pkgtool, "a", "--hash-commit", "HEAD~1") == first
    assert tag(pkgtool, "a", "--hash-commit", tree.git("rev-parse", "HEAD")) == tree.tree_id(package)
    # As in LinuxKit, HEAD itself means what is there, dirty or not.
    assert is_dirty(tag(pkgtool, "a", "--hash-commit", "HEAD"))


def test_a_commit_that_does_not_exist(pkgtool: CommandLine, package: str) -> None:
    for revision in ("nonsense", "--upload-pack=x", "HEAD~7", ""):
        ended = pkgtool("show-tag", f"--hash-commit={revision}", "a")
        assert ended.code == 4, revision
        assert "is not a commit" in ended.err


def test_a_package_that_another_commit_did_not_have(tree: TreeBuilder, pkgtool: CommandLine, package: str) -> None:
    tree.package("new")
    tree.commit("two")
    ended = pkgtool("show-tag", "--hash-commit", "HEAD~1", "new")
    assert ended.code == 4
    assert "pkg/new is not in git" in ended.err


def test_only_what_is_checked_out_can_be_built(pkgtool: CommandLine, package: str) -> None:
    ended = pkgtool("build", "--hash-commit", "HEAD", "a")
    assert ended.code == 2


def test_hash_path_takes_in_what_lies_beside_the_package(tree: TreeBuilder, pkgtool: CommandLine, package: str) -> None:
    tree.write("pkg/shared/f", "1")
    tree.write("lib/f", "1")
    tree.package("b", "extra-sources: [../../lib:lib]\n")
    tree.commit()
    assert tag(pkgtool, "a", "--hash-path", str(tree.root / "pkg")) == tree.tree_id("pkg")
    assert tag(pkgtool, "a", "--hash-path", str(tree.root)) == tree.tree_id("")
    assert tag(pkgtool, "b", "--hash-path", str(tree.root / "pkg")) == linuxkit_hash(tree, "pkg", "lib")
    tree.write("pkg/shared/f", "2")
    assert is_dirty(tag(pkgtool, "a", "--hash-path", str(tree.root / "pkg")))
    assert not is_dirty(tag(pkgtool, "a"))


def test_a_hash_path_that_is_no_parent(tree: TreeBuilder, pkgtool: CommandLine, package: str, tmp_path: Path) -> None:
    for path in (tmp_path, tree.root / "absent"):
        ended = pkgtool("show-tag", "--hash-path", str(path), "a")
        assert ended.code in (2, 4), ended
    tree.write("beside/f", "1")
    tree.commit()
    ended = pkgtool("show-tag", "--hash-path", str(tree.root / "beside"), "a")
    assert ended.code == 2
    assert "beside" in ended.err


def test_force_dirty(tree: TreeBuilder, pkgtool: CommandLine, package: str) -> None:
    found = shown(pkgtool, "--force-dirty")["a"]
    assert found["dirty"] is True
    assert found["hash"].startswith(f"{tree.tree_id(package)}-dirty-")
    assert tag(pkgtool, "a", "--force-dirty") == tag(pkgtool, "a", "--force-dirty")
