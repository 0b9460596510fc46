"""Clean packages that their own files determine have the tag that LinuxKit gives them, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.tags import is_dirty, linuxkit_hash, shown, tag
from tests.support.tree import TreeBuilder


def test_the_tag_is_the_id_of_the_packages_tree(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    path = tree.package("getty", files={"a/b/c": "1", "usr/bin/x": "2"})
    tree.commit()
    assert pkgtool("show-tag", "getty").ok().out == f"linuxkit/getty:{tree.tree_id(path)}\n"
    assert shown(pkgtool)["getty"]["kind"] == "tree"


def test_a_package_at_the_top_of_the_repository(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("top", path=".")
    tree.package("below")
    tree.commit()
    assert tag(pkgtool, "top") == tree.git("show", "-s", "--format=%T", "HEAD")
    assert tag(pkgtool, "below") == tree.tree_id("pkg/below")


def test_extra_sources_count_in_the_order_listed(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.write("shared/one/f", "1")
    tree.write("shared/two/f", "2")
    tree.write("file", "3")
    tree.package("a", "extra-sources: [../../shared/one:one, ../../shared/two:two]\n")
    tree.package("b", "extra-sources: [../../shared/two:two, ../../shared/one:one]\n")
    tree.package("c", "extra-sources: [../../file:file]\n")
    tree.commit()
    assert tag(pkgtool, "a") == linuxkit_hash(tree, "pkg/a", "shared/one", "shared/two")
    assert tag(pkgtool, "b") == linuxkit_hash(tree, "pkg/b", "shared/two", "shared/one")
    assert tag(pkgtool, "c") == linuxkit_hash(tree, "pkg/c", "file")


def test_arguments_and_configuration_in_the_file_are_part_of_its_tree(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("a", "buildArgs: [A=1]\nnetwork: yes\ndisable-cache: yes\nconfig: {binds: [/a:/a]}\n")
    tree.commit()
    assert tag(pkgtool, "a") == tree.tree_id("pkg/a")


def test_the_org_is_in_the_reference_and_not_in_the_tag(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    path = tree.package("a")
    tree.commit()
    assert pkgtool("show-tag", "--org", "ghcr.io/me", "a").ok().out == f"ghcr.io/me/a:{tree.tree_id(path)}\n"


def test_tag_templates(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    path = tree.package("a", 'tag: "v1-{{.Hash}}"\n')
    tree.commit()
    assert tag(pkgtool, "a") == f"v1-{tree.tree_id(path)}"
    assert tag(pkgtool, "a", "--tag", "x-{{.Hash}}-y") == f"x-{tree.tree_id(path)}-y"


# -- repositories of every kind --------------------------------------------------------------------------


def test_a_tree_below_the_top_of_its_repository(tree: TreeBuilder, tmp_path: Path) -> None:
    tree.write("images/pkgtool.yml", "org: o\n")
    tree.write("shared/f", "1")
    tree.package("a", "extra-sources: [../../../shared:s]\n", path="images/pkg/a")
    tree.commit()
    below = CommandLine(tree.root / "images", tmp_path / "store")
    assert tag(below, "a") == linuxkit_hash(tree, "images/pkg/a", "shared")
    tree.write("shared/g", "untracked")
    assert is_dirty(tag(below, "a"))
    # Seen from a directory inside, it is the same tree.
    assert tag(CommandLine(tree.root / "images/pkg/a", tmp_path / "store"), "a") == tag(below, "a")


def test_a_linked_worktree(tree: TreeBuilder, tmp_path: Path) -> None:
    path = tree.package("a")
    tree.commit()
    expected = tree.tree_id(path)
    tree.git("worktree", "add", "--quiet", str(tmp_path / "linked"), "-b", "other")
    tree.write("pkg/a/content", "changed here only\n")
    linked = CommandLine(tmp_path / "linked", tmp_path / "store")
    assert tag(linked, "a") == expected
    (tmp_path / "linked/pkg/a/content").write_text("changed there\n")
    assert is_dirty(tag(linked, "a"))


def test_a_shallow_clone(tree: TreeBuilder, tmp_path: Path) -> None:
    path = tree.package("a")
    tree.commit("one")
    tree.write("pkg/a/content", "two\n")
    tree.commit("two")
    tree.git("clone", "--quiet", "--depth=1", f"file://{tree.root}", str(tmp_path / "clone"))
    clone = CommandLine(tmp_path / "clone", tmp_path / "store")
    assert tag(clone, "a") == tree.tree_id(path)
    (tmp_path / "clone/pkg/a/new").write_text("x")
    assert is_dirty(tag(clone, "a"))


def test_a_clone_that_borrows_objects(tree: TreeBuilder, tmp_path: Path) -> None:
    path = tree.package("a")
    tree.commit()
    tree.git("clone", "--quiet", "--shared", str(tree.root), str(tmp_path / "clone"))
    clone = CommandLine(tmp_path / "clone", tmp_path / "store")
    assert tag(clone, "a") == tree.tree_id(path)
    (tmp_path / "clone/pkg/a/new").write_text("x")
    assert is_dirty(tag(clone, "a"))


def test_a_sparse_checkout(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("a")
    tree.write("elsewhere/f", "1")
    tree.commit()
    tree.git("sparse-checkout", "set", "pkg")
    assert tag(pkgtool, "a") == tree.tree_id("pkg/a")
    tree.write("pkg/a/new", "x")
    assert is_dirty(tag(pkgtool, "a"))


def test_a_sha256_repository(tmp_path: Path) -> None:
    tree = TreeBuilder(tmp_path / "sha256").init("--object-format=sha256")
    pkgtool = CommandLine(tree.root, tmp_path / "store")
    path = tree.package("a")
    tree.package("b", "depends: {packages: [a]}\n")
    tree.commit()
    assert tag(pkgtool, "a") == tree.tree_id(path)
    assert len(tag(pkgtool, "a")) == 64
    tree.write("pkg/a/content", "changed\n")
    assert is_dirty(tag(pkgtool, "a"))
    assert is_dirty(tag(pkgtool, "b"))


def test_a_repository_without_a_commit(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    path = tree.package("a")
    before = tag(pkgtool, "a")
    assert is_dirty(before)
    tree.git("add", "--all")
    assert tag(pkgtool, "a") == before
    tree.commit()
    assert tag(pkgtool, "a") == tree.tree_id(path) == before.partition("-")[0]


@pytest.mark.parametrize("name", ["a: b", "a [1]*?", "ü é", "a'b\"c", "a\\b", ":(top)"])
def test_repositories_and_packages_in_directories_with_odd_names(tmp_path: Path, name: str) -> None:
    tree = TreeBuilder(tmp_path / name / "tree").init()
    tree.package("a", path=f"pkg/{name}")
    tree.package("b", path="pkg/a 1")
    tree.commit()
    pkgtool = CommandLine(tree.root, tmp_path / "store")
    clean = shown(pkgtool)
    assert clean["a"]["hash"] == tree.tree_id(f"pkg/{name}")
    tree.write(f"pkg/{name}/content", "changed\n")
    dirty = shown(pkgtool)
    assert is_dirty(dirty["a"]["hash"])
    assert dirty["b"] == clean["b"]


@pytest.mark.parametrize("name", [b"a b", b"a\nb", b"a\tb", b'"', b"\\", b"\xff\xfe", "é".encode(), "e\u0301".encode()])
def test_files_with_odd_names(tree: TreeBuilder, pkgtool: CommandLine, name: bytes) -> None:
    tree.package("a")
    place = bytes(tree.root) + b"/pkg/a/" + name
    Path(place.decode("utf-8", "surrogateescape")).write_text("1")
    before = tag(pkgtool, "a")
    assert is_dirty(before)
    tree.commit()
    assert tag(pkgtool, "a") == tree.tree_id("pkg/a") == before.partition("-")[0]


def test_outside_git_there_is_no_tag(tmp_path: Path) -> None:
    (tmp_path / "x/pkg/a").mkdir(parents=True)
    (tmp_path / "x/pkg/a/build.yml").write_text("image: a\n")
    (tmp_path / "x/pkg/a/Dockerfile").write_text("FROM scratch\n")
    ended = CommandLine(tmp_path / "x", tmp_path / "store")("show-tag")
    assert ended.code == 4
    assert f"error: {tmp_path / 'x'} is not in a git repository" in ended.err
    assert "git init" in ended.err


def test_an_ignored_package_is_in_no_tag(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("a")
    tree.write(".gitignore", "pkg/a\n")
    tree.commit()
    ended = pkgtool("show-tag", "a")
    assert ended.code == 4
    assert "error: pkg/a is not in git" in ended.err


# -- submodules ------------------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path) -> TreeBuilder:
    """A repository to take in as a submodule."""
    made = TreeBuilder(tmp_path / "other").init()
    made.package("sub", path=".")
    made.package("deep", path="deep/er")
    made.commit()
    return made


def test_packages_in_a_submodule(tree: TreeBuilder, other: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.git("submodule", "--quiet", "add", str(other.root), "pkg/sub")
    tree.write("pkgtool.yml", "packages: [pkg/*, pkg/sub/deep/*]\n")
    tree.commit()
    assert {name: found["hash"] for name, found in shown(pkgtool).items()} == {
        "sub": other.tree_id(),
        "deep": other.tree_id("deep/er"),
    }
    tree.write("pkg/sub/deep/er/content", "changed\n")
    assert is_dirty(tag(pkgtool, "deep"))
    assert is_dirty(tag(pkgtool, "sub"))


def test_a_package_with_a_submodule_inside(tree: TreeBuilder, other: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("a")
    tree.git("submodule", "--quiet", "add", str(other.root), "pkg/a/vendor")
    tree.commit()
    clean = tag(pkgtool, "a")
    assert clean == tree.tree_id("pkg/a")

    tree.write("pkg/a/vendor/content", "changed\n")
    changed = tag(pkgtool, "a")
    tree.write("pkg/a/vendor/content", "changed again\n")
    assert len({clean, changed, tag(pkgtool, "a")}) == 3
    tree.git("checkout", "--quiet", ".", cwd=tree.root / "pkg/a/vendor")
    assert tag(pkgtool, "a") == clean

    other.write("content", "two\n")
    other.commit()
    tree.git("pull", "--quiet", cwd=tree.root / "pkg/a/vendor")
    moved = tag(pkgtool, "a")
    assert is_dirty(moved)
    tree.commit()
    assert tag(pkgtool, "a") == tree.tree_id("pkg/a") != clean


@pytest.mark.parametrize("setting", ["all", "dirty", "untracked"])
def test_a_submodule_that_git_is_told_to_ignore(
    tree: TreeBuilder, other: TreeBuilder, pkgtool: CommandLine, setting: str
) -> None:
    tree.package("a")
    tree.git("submodule", "--quiet", "add", str(other.root), "pkg/a/vendor")
    tree.git("config", "--file", ".gitmodules", "submodule.pkg/a/vendor.ignore", setting)
    tree.commit()
    clean = tag(pkgtool, "a")
    tree.write("pkg/a/vendor/new", "untracked\n")
    assert is_dirty(tag(pkgtool, "a"))
    (tree.root / "pkg/a/vendor/new").unlink()
    assert tag(pkgtool, "a") == clean


def test_a_submodule_inside_a_submodule(
    tree: TreeBuilder, other: TreeBuilder, pkgtool: CommandLine, tmp_path: Path
) -> None:
    innermost = TreeBuilder(tmp_path / "innermost").init()
    innermost.write("f", "1")
    innermost.commit()
    other.git("submodule", "--quiet", "add", str(innermost.root), "inner")
    other.commit()
    tree.package("a")
    tree.git("submodule", "--quiet", "add", str(other.root), "pkg/a/vendor")
    tree.git("submodule", "--quiet", "update", "--init", "--recursive")
    tree.commit()
    tags = {tag(pkgtool, "a")}
    for content in ("2", "3"):
        tree.write("pkg/a/vendor/inner/f", content)
        tags.add(tag(pkgtool, "a"))
    assert len(tags) == 3


def test_a_submodule_that_is_not_checked_out_has_a_tag_all_the_same(
    tree: TreeBuilder, other: TreeBuilder, tmp_path: Path
) -> None:
    tree.package("a")
    tree.git("submodule", "--quiet", "add", str(other.root), "pkg/a/vendor")
    tree.commit()
    tree.git("clone", "--quiet", str(tree.root), str(tmp_path / "clone"))
    clone = CommandLine(tmp_path / "clone", tmp_path / "store")
    assert tag(clone, "a") == tree.tree_id("pkg/a")


def test_a_repository_inside_that_is_no_submodule(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("a")
    tree.commit()
    inner = TreeBuilder(tree.root / "pkg/a/inner").init()
    inner.write("f", "1")
    inner.commit()
    before = tag(pkgtool, "a")
    assert is_dirty(before)
    inner.write("f", "2")
    inner.commit()
    assert tag(pkgtool, "a") != before
