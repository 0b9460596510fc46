"""What is said of two images that differ: `pkgtool diff` and `reproduce` both say it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.oci.canonical.image import CanonicalImage
from pkgtool.oci.compare import Detail, ImageDifference, compare
from pkgtool.oci.documents import Index
from pkgtool.oci.store import Store
from tests.support.command_line import CommandLine
from tests.support.products import Factory, File, directory, symlink
from tests.support.registry.images import AMD64, ARM64
from tests.support.tree import TreeBuilder

RECORD = """\
Package: {name}
Status: install ok installed
Architecture: amd64
Version: {version}
Maintainer: Nobody <nobody@example.com>

"""


def compared(made: Factory, before: CanonicalImage, after: CanonicalImage) -> ImageDifference:
    layout = made.store.layout
    return compare(layout, before.manifest, layout, after.manifest)


def lines(made: Factory, before: list[File], after: list[File]) -> list[str]:
    return list(compared(made, made.image(before), made.image(after)).lines())


def test_equal_images_have_no_difference(made: Factory) -> None:
    one = made.image([File("a", b"a")])
    assert not compared(made, one, one)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (File("a", b"x", mode=0o644), File("a", b"x", mode=0o600), "changed a: mode 0644 → 0600"),
        (File("a", b"x"), File("a", b"x", uid=3, gid=4), "changed a: owner 0:0 → 3:4"),
        (File("a", b"x"), File("a", b"y"), "changed a: content"),
        (File("a", b"x"), File("a", b"yy"), "changed a: size 1 → 2"),
        (File("a"), directory("a"), "changed a: type file → directory, mode 0644 → 0755"),
        (symlink("a", "b"), symlink("a", "c"), "changed a: target b → c"),
        (File("a"), File("a", xattrs={"security.x": "1"}), "changed a: extended attributes security.x"),
    ],
)
def test_what_differs_in_a_file_is_named(made: Factory, before: File, after: File, told: str) -> None:
    assert lines(made, [before], [after]) == [told]


def test_files_that_come_and_go(made: Factory) -> None:
    found = compared(made, made.image([File("a", b"xx")]), made.image([File("b", b"yyy")]))
    assert list(found.lines()) == ["removed a: file", "added b: file"]
    assert [(file.size_before, file.size_after) for file in found.files] == [(2, 0), (0, 3)]


def test_only_times_differ(made: Factory) -> None:
    """Images that are not canonical differ by nothing else; between canonical ones the configuration tells it."""
    files = [File("a", b"a"), File("b", b"b")]
    one, other = made.image(files, epoch=1_700_000_000), made.image(files, epoch=1_700_000_001)
    assert (
        'configuration created: "2023-11-14T22:13:20Z" → "2023-11-14T22:13:21Z"' in compared(made, one, other).lines()
    )
    layout = made.store.layout
    first, second = layout.manifest(one.manifest), layout.manifest(other.manifest)
    config = json.loads(layout.read(second.config))
    config["created"] = "2023-11-14T22:13:20Z"
    for entry in config["history"]:
        entry["created"] = "2023-11-14T22:13:20Z"
    forged = type(second)(layout.write(json.dumps(config).encode(), second.config.media_type), second.layers)
    found = compare(layout, one.manifest, layout, layout.write(forged.encode(), one.manifest.media_type))
    assert first.layers != second.layers
    assert list(found.lines()) == [
        f"changed {name}: time 2023-11-14T22:13:20Z → 2023-11-14T22:13:21Z" for name in ("a", "b")
    ]


def test_the_configuration_is_compared_value_by_value(made: Factory) -> None:
    before = {"Cmd": ["/a"], "Labels": {"org.mobyproject.config": '{"pid":"host","binds":["/a:/a"]}'}}
    after = {"Cmd": ["/b"], "Labels": {"org.mobyproject.config": '{"pid":"new","binds":["/a:/a"]}'}, "User": "x"}
    found = compared(made, made.image(config=before), made.image(config=after))
    assert found.configuration == (
        Detail("config.Cmd[0]", '"/a"', '"/b"'),
        Detail("config.Labels.org.mobyproject.config.pid", '"host"', '"new"'),
        Detail("config.User", "absent", '"x"'),
    )


@pytest.fixture
def stored(pkgtool: CommandLine, tmp_path: Path) -> Factory:
    """Two images of `team/thing` in the store of the command line: at 1 and 2, of which only 2 is for arm64."""
    made = Factory(Store(pkgtool.store), tmp_path / "products")
    libc, newer, mawk = (RECORD.format(name=n, version=v) for n, v in (("libc6", "1"), ("libc6", "2"), ("mawk", "1.3")))
    old = [File("etc/motd", b"one\n"), File("var/lib/dpkg/status", libc.encode())]
    new = [File("etc/motd", b"two\n", mode=0o600), File("var/lib/dpkg/status", (newer + mawk).encode())]
    with made.store.in_use():
        for tag, files, platforms in (("1", old, (AMD64,)), ("2", new, (AMD64, ARM64))):
            image = made.image(files).manifest
            index = Index.of_platforms([replace(image, platform=platform) for platform in platforms])
            written = made.store.layout.write(index.encode(), index.media_type)
            made.store.layout.update_references({f"team/thing:{tag}": written})
    return made


def test_the_command_tells_packages_configuration_files_and_sizes(pkgtool: CommandLine, stored: Factory) -> None:
    ended = pkgtool("diff", "--platform", "linux/amd64", "team/thing:1", "team/thing:2")
    assert ended.code == 1, ended.err
    assert ended.err == ""
    out = ended.out.splitlines()
    assert out[:2] == ["--- team/thing:1", "+++ team/thing:2"]
    assert out[out.index("  packages:") + 1 :][:2] == ["    ~ libc6 1 → 2", "    + mawk 1.3"]
    assert "  files: 2 changed" in out
    assert "    ~ etc/motd: mode 0644 → 0600, content" in out
    assert any(line.startswith("    ~ var/lib/dpkg/status: size ") for line in out)


def test_the_command_as_data(pkgtool: CommandLine, stored: Factory) -> None:
    found = pkgtool("diff", "--json", "team/thing:1", "team/thing:2").json
    assert found["same"] is False
    assert found["onlyAfter"] == ["linux/arm64"]
    [platform] = found["platforms"]
    assert platform["packages"] == [
        {"kind": "debian", "name": "libc6", "before": ["1"], "after": ["2"]},
        {"kind": "debian", "name": "mawk", "before": [], "after": ["1.3"]},
    ]
    assert platform["files"][0] == {
        "path": "etc/motd",
        "change": "changed",
        "kind": "file",
        "sizeBefore": 4,
        "sizeAfter": 4,
        "details": [
            {"what": "mode", "before": "0644", "after": "0600"},
            {"what": "content", "before": "", "after": ""},
        ],
    }
    assert platform["after"]["unpacked"] > platform["before"]["unpacked"] > 0


def test_a_platform_that_only_one_has_is_a_difference(pkgtool: CommandLine, stored: Factory) -> None:
    ended = pkgtool("diff", "team/thing:1", "team/thing:2")
    assert ended.code == 1
    assert ended.out.endswith("only team/thing:2 has linux/arm64\n")


def test_the_same_image_is_exit_code_0(pkgtool: CommandLine, stored: Factory) -> None:
    ended = pkgtool("diff", "team/thing:2", "team/thing:2")
    assert ended.code == 0
    assert "linux/amd64: the same image sha256:" in ended.out


@pytest.mark.parametrize(
    ("before", "code", "message"),
    [
        ("team/thing:3", 8, "team/thing:3 is not in the store, and no registry is named"),
        ("nothing", 2, "'nothing' says no tag and no digest"),
        ("Not a reference:", 2, "'Not a reference:' is neither a package nor a reference"),
    ],
)
def test_names_that_lead_nowhere(pkgtool: CommandLine, stored: Factory, before: str, code: int, message: str) -> None:
    ended = pkgtool("diff", before, "team/thing:2")
    assert ended.code == code
    assert message in ended.err
    assert ended.out == ""


def test_a_platform_that_one_does_not_have(pkgtool: CommandLine, stored: Factory) -> None:
    ended = pkgtool("diff", "--platform", "linux/arm64", "team/thing:1", "team/thing:2")
    assert (ended.code, ended.err) == (2, "error: team/thing:1 has no linux/arm64, only linux/amd64\n")


def test_a_package_and_a_revision_of_it_are_names_too(pkgtool: CommandLine, tree: TreeBuilder) -> None:
    tree.package("thing", "org: team\n")
    tree.commit()
    tag = pkgtool("show-tag", "thing").ok().out.strip()
    tree.write("pkg/thing/content", "other\n")
    tree.commit()
    ended = pkgtool("diff", "thing@HEAD~1", "thing")
    assert (ended.code, ended.err.splitlines()) == (
        8,
        [
            f"error: {tag} is not in the store, and no registry is named",
            "hint: git worktree add ../old HEAD~1 && pkgtool -C ../old build thing",
        ],
    )
    assert pkgtool("diff", "thing", "thing").err.splitlines()[1] == "hint: pkgtool build thing"
