"""References between packages: LinuxKit's @lkt: values, `depends.packages` and `depends.tools`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from pkgtool.graph import in_order
from pkgtool.model import BuildArg, Package
from tests.support.configuration import Files, package, problems, workspace

TREE: Files = {"pkg/a/build.yml": "image: a\n", "pkg/b/build.yml": "image: b\n", "pkg/.hidden/build.yml": "image: h\n"}


def edges(found: Package) -> list[tuple[str, str]]:
    return [(d.name, d.role.value) for d in found.dependencies]


def messages(tmp_path: Path, text: str, files: Files = TREE) -> list[tuple[str, str]]:
    found = problems(tmp_path, {**files, "pkg/p/build.yml": text})
    return [(f"{p.location}", p.message) for p in found]


def test_one_package_by_path(tmp_path: Path) -> None:
    found = package(tmp_path, "image: p\nbuildArgs: ['A=@lkt:pkg:../a']\n", TREE)
    assert edges(found) == [("a", "reference")]
    assert found.build_args == (BuildArg("A", refers_to=("a",)),)


def test_several_packages_by_glob(tmp_path: Path) -> None:
    found = package(tmp_path, "image: p\nbuildArgs: ['X_%=@lkt:pkgs:../[ab]*']\n", TREE)
    assert edges(found) == [("a", "reference"), ("b", "reference")]
    assert found.build_args == (BuildArg("X_%", refers_to=("a", "b")),)


def test_a_glob_takes_no_hidden_directories(tmp_path: Path) -> None:
    found = package(tmp_path, "image: p\nbuildArgs: ['%=@lkt:pkgs:../../pkg/[!p]*']\n", TREE)
    assert edges(found) == [("a", "reference"), ("b", "reference")]


def test_references_reach_packages_outside_the_globs(tmp_path: Path) -> None:
    files = {"tools/t/build.yml": "image: t\nbuildArgs: ['U=@lkt:pkg:../u']\n", "tools/u/build.yml": "image: u\n"}
    found = workspace(tmp_path, {"pkg/p/build.yml": "image: p\nbuildArgs: ['T=@lkt:pkg:../../tools/t']\n", **files})
    assert in_order(found.packages) == ["u", "t", "p"]


def test_later_arguments_win_whatever_their_kind(tmp_path: Path) -> None:
    text = "image: p\nbuildArgs: ['A=@lkt:pkg:../a', 'A=1', 'B=2', 'B=@lkt:pkg:../b']\n"
    found = package(tmp_path, text, TREE)
    assert [(a.name, a.value, a.refers_to) for a in found.build_args] == [
        ("A", "", ("a",)),
        ("A", "1", ()),
        ("B", "2", ()),
        ("B", "", ("b",)),
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("A=@lkt:pkg:", "unknown value @lkt:pkg:"),
        ("A=@lkt:", "unknown value @lkt:"),
        ("A=@lkt:tag:../a", "unknown value @lkt:tag:../a"),
        ("A=@lkt:pkgs:../*", "the name 'A' needs a % for the packages' names"),
        ("A=@lkt:pkg:../absent", "there is no package '../absent'"),
        ("A=@lkt:pkg:../../../outside", "there is no package '../../../outside'"),
        ("%=@lkt:pkgs:../absent*", "there is no package '../absent*'"),
    ],
)
def test_references_that_cannot_be(tmp_path: Path, value: str, message: str) -> None:
    found = messages(tmp_path, f"image: p\nbuildArgs:\n  - '{value}'\n")
    assert found == [("pkg/p/build.yml:3:5", message)]


def test_packages_and_tools_by_name_and_path(tmp_path: Path) -> None:
    text = "image: p\ndepends:\n  packages: [a, ../b]\n  tools: [pkg/b]\n"
    assert edges(package(tmp_path, text, TREE)) == [("a", "package"), ("b", "package"), ("b", "tool")]


def test_a_dependency_named_twice_is_one(tmp_path: Path) -> None:
    text = "image: p\ndepends: {packages: [a, a, pkg/a]}\nbuildArgs: ['A=@lkt:pkg:../a']\n"
    found = package(tmp_path, text, TREE)
    assert sorted(edges(found)) == [("a", "package"), ("a", "reference")]


def test_an_absent_dependency_is_named_with_a_suggestion(tmp_path: Path) -> None:
    files = {**TREE, "pkg/getty/build.yml": "image: getty\n"}
    (found,) = problems(tmp_path, {**files, "pkg/p/build.yml": "image: p\ndepends:\n  packages:\n    - gety\n"})
    assert (str(found.location), found.message) == ("pkg/p/build.yml:4:7", "there is no package 'gety'")
    assert found.hint == "did you mean 'getty'?"


def test_a_circle_is_shown_whole(tmp_path: Path) -> None:
    files = {
        "pkg/a/build.yml": "image: a\ndepends: {packages: [b]}\n",
        "pkg/b/build.yml": "image: b\ndepends: {tools: [c]}\n",
        "pkg/c/build.yml": "image: c\nbuildArgs: ['A=@lkt:pkg:../a']\n",
    }
    (found,) = problems(tmp_path, files)
    circle = found.message.removeprefix("packages depend on each other in a circle: ").split(" → ")
    assert len(circle) == 4
    assert circle[0] == circle[-1]
    assert set(circle) == {"a", "b", "c"}
    assert all((one, two) in (("a", "b"), ("b", "c"), ("c", "a")) for one, two in pairwise(circle))
    assert found.location is not None
    assert found.location.line == 2


def test_a_package_that_needs_itself(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, {"pkg/a/build.yml": "image: a\ndepends: {packages: [a]}\n"})
    assert found.message == "packages depend on each other in a circle: a → a"


def test_a_glob_that_takes_in_the_package_itself_is_a_circle(tmp_path: Path) -> None:
    (_, found), *_ = messages(tmp_path, "image: p\nbuildArgs: ['%=@lkt:pkgs:../*']\n")
    assert found == "packages depend on each other in a circle: p → p"


def test_two_packages_of_one_name(tmp_path: Path) -> None:
    found = problems(tmp_path, {"pkg/a/build.yml": "image: same\n", "pkg/b/build.yml": "image: same\n"})
    assert [(str(p.location), p.message) for p in found] == [
        ("pkg/b/build.yml:1:8", "the image 'same' is also made by pkg/a")
    ]
