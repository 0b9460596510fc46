"""The summary of a job: Markdown that says what happened, whatever the texts in it."""

from __future__ import annotations

from pathlib import Path

from pkgtool.errors import BuildError
from pkgtool.report import summary
from tests.support.command_line import CommandLine
from tests.support.tree import TreeBuilder


def test_it_is_added_where_github_says(tmp_path: Path) -> None:
    place = tmp_path / "summary.md"
    for text in ("one", "two"):
        summary.add(text, {"GITHUB_STEP_SUMMARY": str(place)})
    summary.add("nowhere", {})
    assert place.read_text() == "one\ntwo\n"


def test_text_of_others_stands_as_it_is() -> None:
    assert summary.escape("a|b <img> `x`\n# y") == "a\\|b \\<img\\> \\`x\\` \\# y"


def test_very_many_rows_are_cut(tmp_path: Path) -> None:
    lines = list(summary.table(("n",), [(str(number),) for number in range(2000)]))
    assert len(lines) == 505
    assert lines[-2] == "and 1500 more"


def test_a_log_can_not_leave_its_frame() -> None:
    lines = list(summary._failure(BuildError("failed", details=["~~~~", "# not a heading"])))
    assert lines == ["**failed**", "", "~~~~~", "~~~~", "# not a heading", "~~~~~", ""]


def test_changes_since_the_last_release(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.write("pkgtool.yml", "org: test\n")
    for name in ("base", "gone", "same"):
        tree.package(name)
    tree.package("top", "depends:\n  packages: [base]\n", dockerfile="ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n")
    tree.commit()
    before = {name: pkgtool("show-tag", name).ok().out.strip().rpartition(":")[2] for name in ("base", "top")}
    assert "in the first release" in pkgtool("ci", "changes").ok().out
    tree.git("tag", "v1.0")
    tree.write("pkg/base/content", "other\n")
    tree.package("fresh")
    tree.git("rm", "-rq", "pkg/gone")
    tree.commit()
    tree.git("tag", "v1.1")  # on this commit itself: what changed is asked of the one before
    after = {name: pkgtool("show-tag", name).ok().out.strip().rpartition(":")[2] for name in ("base", "fresh", "top")}
    assert pkgtool("ci", "changes").ok().out.splitlines() == [
        "### What changed since v1.0",
        "",
        f"- **base**: `{before['base']}` → `{after['base']}`",
        "  - content changed",
        f"- **fresh** is new: `{after['fresh']}`",
        f"- **top**: `{before['top']}` → `{after['top']}`",
        "  - stands on base",
        "- **gone** is gone",
        "",
        "1 packages did not change.",
    ]
    found = pkgtool("ci", "changes", "--json").ok().json
    assert [change["package"] for change in found["packages"]] == ["base", "fresh", "top", "gone"]
    assert pkgtool("ci", "changes", "--since", "HEAD").ok().out.splitlines()[-1].startswith("Nothing")


def test_a_revision_that_can_not_be_read_says_which(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("a", "imgae: b\n")
    tree.commit()
    tree.package("a")
    tree.commit()
    ended = pkgtool("ci", "changes", "--since", "HEAD~1")
    assert ended.code == 3
    assert "error: the tree at HEAD~1 can't be read" in ended.err
    assert "pkg/a/build.yml:2:1: unknown key 'imgae'" in ended.err
