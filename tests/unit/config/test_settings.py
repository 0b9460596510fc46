"""pkgtool.yml: the defaults of a tree, what they mean for packages, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgtool.model import TreeSettings
from pkgtool.values import Platform
from tests.support.configuration import problems, workspace

PACKAGE = {"pkg/p/build.yml": "image: p\n"}


@pytest.mark.parametrize("content", ["", "\n \n", None])
def test_the_file_may_be_absent_or_empty(tmp_path: Path, content: str | None) -> None:
    files = PACKAGE if content is None else {**PACKAGE, "pkgtool.yml": content}
    assert workspace(tmp_path, files).settings == TreeSettings()


def test_every_key(tmp_path: Path) -> None:
    text = """\
org: ghcr.io/team
platforms: [linux/amd64, arm64, linux/arm/v7]
packages: [pkg/*, "deep/*/x"]
source: https://example.com/tree
source-date-epoch: 1700000000
registry: localhost:5000/x
insecure-registries: [localhost:5000]
store: .store
mirrors: {http://deb.debian.org: http://mirror, http://deb.debian.org/debian: http://nearer}
debian-mirror: http://mirror/debian/
debian-snapshot: http://mirror/snapshot/
"""
    found = workspace(tmp_path, {**PACKAGE, "deep/a/x/build.yml": "image: x\n", "pkgtool.yml": text})
    assert found.settings.platforms == tuple(map(Platform.parse, ("linux/amd64", "linux/arm64", "linux/arm/v7")))
    assert found.settings.mirrors[0] == ("http://deb.debian.org/debian", "http://nearer")
    assert (found.settings.debian_mirror, found.settings.debian_snapshot) == (
        "http://mirror/debian",
        "http://mirror/snapshot",
    )
    assert {name: package.path for name, package in found.packages.items()} == {"p": "pkg/p", "x": "deep/a/x"}
    assert found.packages["p"].repository == "ghcr.io/team/p"


def test_what_the_tree_decides_counts_as_coming_from_outside(tmp_path: Path) -> None:
    """A package's own files don't determine these, so its own tree's id can't be its tag."""
    text = "source: https://example.com\nsource-date-epoch: 5\norg: o\n"
    found = workspace(tmp_path, {**PACKAGE, "pkgtool.yml": text}).packages["p"]
    assert found.outside_settings == (("source", "https://example.com"), ("source-date-epoch", "5"))
    assert (found.source_url, found.source_date_epoch) == ("https://example.com", 5)


def test_a_package_goes_before_the_tree(tmp_path: Path) -> None:
    files = {
        "pkg/p/build.yml": "image: p\norg: own\ngitrepo: https://own\n",
        "pkgtool.yml": "org: o\nsource: https://s\n",
    }
    found = workspace(tmp_path, files).packages["p"]
    assert (found.org, found.source_url, found.outside_settings) == ("own", "https://own", ())


def test_hidden_directories_and_files_are_no_packages(tmp_path: Path) -> None:
    files = {**PACKAGE, "pkg/.git/build.yml": "nonsense", "pkg/README/x": "", "pkg/build.yml": "image: all\n"}
    assert list(workspace(tmp_path, files).packages) == ["p"]
    assert list(workspace(tmp_path, {**files, "pkgtool.yml": "packages: [pkg]\n"}).packages) == ["all"]


def test_the_root_itself_may_be_a_package(tmp_path: Path) -> None:
    found = workspace(tmp_path, {"build.yml": "image: top\n"}).packages["top"]
    assert (found.path, found.lock_path, found.build_file) == ("", "inputs.lock", "build.yml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("platforms: [linux/amd64, '']\n", ["1:26 '' is not a platform such as linux/amd64"]),
        ("platforms: [a/b/c/d]\n", ["1:13 'a/b/c/d' is not a platform such as linux/amd64"]),
        ("org: Bad Org\n", ["1:6 'Bad Org' can't be an organisation"]),
        ("org: a//b\n", ["1:6 'a//b' can't be an organisation"]),
        ("packages: [../*]\n", ["1:12 the glob '../*' leaves the tree"]),
        ("packages: [pkg/*, /etc/*, 'a/../../b', '']\n", ["1:19 the glob", "1:27 the glob", "1:40 the glob"]),
        ("source-date-epoch: 0\n", ["1:20 'source-date-epoch' must be at least 1"]),
        ("source-date-epoch: 8589934592\n", ["1:20 'source-date-epoch' must be at most 8589934591"]),
        ("source-date-epoch: soon\n", ["1:20 'source-date-epoch' must be a whole number, not 'soon'"]),
        ("mirrors: [a]\n", ["1:10 'mirrors' must be a mapping"]),
        ("mirrors: {a: 1, a: 2}\n", ["1:17 the key 'a' occurs twice"]),
        ("ogr: x\n", ["1:1 unknown key 'ogr'"]),
        ("org: [x]\nstore: {a: b}\n", ["1:6 'org' must be text", "2:8 'store' must be text"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = problems(tmp_path, {**PACKAGE, "pkgtool.yml": text})
    places = [f"{p.location.line}:{p.location.column} {p.message}" for p in found if p.location]
    assert [place[: len(start)] for place, start in zip(places, expected, strict=True)] == expected
    assert all(p.location and p.location.file == "pkgtool.yml" for p in found)


@pytest.mark.parametrize("link", ["pkg/p", "pkg/p/build.yml"])
def test_what_a_symbolic_link_leads_to_would_not_count_in_the_tag(tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/build.yml").write_text("image: p\n")
    (tmp_path / "elsewhere/Dockerfile").write_text("FROM scratch\n")
    place = tmp_path / link
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "elsewhere" / ("" if link == "pkg/p" else "build.yml"))
    if link != "pkg/p":
        (place.parent / "Dockerfile").write_text("FROM scratch\n")
    (found,) = problems(tmp_path, {})
    assert found.message == f"{link} is a symbolic link, so its content has no part in the tag"
