"""All that is wrong with a tree is told in one run, each with its place."""

from __future__ import annotations

import re

from pkgtool.errors import ExitCode
from tests.support.command_line import CommandLine
from tests.support.tree import TreeBuilder

MISTAKES = """\
image: Not A Name
immage: twice
arches: [amd64, sparc]
network: maybe
org: good
org: again
extra-sources:
  - ../../../etc:here
  - no-colon
buildArgs:
  - NOVALUE
  - A=@lkt:pkg:../nowhere
dockerfile: ../Dockerfile
depends:
  packages: [missing]
  tols: [x]
config:
  capabilities: CAP_X
tag: "{{.Nope}}"
"""
EXPECTED = {
    (1, 8): "can't be an image name",
    (2, 1): "unknown key 'immage'",
    (3, 17): "'sparc' is not an architecture",
    (4, 10): "'network' must be true or false, not 'maybe'",
    (6, 1): "the key 'org' occurs twice",
    (8, 5): "leaves the repository",
    (9, 5): "is not of the form SOURCE:DESTINATION",
    (11, 5): "'NOVALUE' is not of the form NAME=VALUE",
    (12, 5): "there is no package '../nowhere'",
    (13, 13): "leaves the package's directory",
    (15, 14): "there is no package 'missing'",
    (16, 3): "unknown key 'tols'",
    (18, 17): "'capabilities' must be a list",
    (19, 6): "gives no valid tag",
}


def test_more_than_ten_mistakes_in_one_file(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("broken", files={})
    tree.write("pkg/broken/build.yml", MISTAKES)
    tree.commit()
    ended = pkgtool("build")
    assert ended.code == ExitCode.CONFIGURATION == 3
    assert ended.out == ""
    assert "Traceback" not in ended.err
    lines = MISTAKES.splitlines()
    found = {}
    for block in ended.err.split("\n\n"):
        place = re.search(r"\n  --> pkg/broken/build\.yml:(\d+):(\d+)\n +(\d+) \| (.*)\n", block)
        if place:
            line = int(place.group(1))
            assert (int(place.group(3)), place.group(4)) == (line, lines[line - 1])
            found[line, int(place.group(2))] = block.partition("\n")[0]
    assert found.keys() == EXPECTED.keys()
    for place, message in EXPECTED.items():
        assert message in found[place]
    assert ended.err.rstrip().endswith(f"error: {len(EXPECTED)} problems found")


def test_mistakes_of_all_files_and_two_circles(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    for name, needs in {"a": "b", "b": "a", "c": "d", "d": "c", "e": "a", "f": "nothing"}.items():
        tree.package(name, f"depends:\n  packages: [{needs}]\n")
    tree.package("g", "network: 5\n")
    tree.write("pkg/h/build.yml", "image: [h\n")
    tree.write("pkgtool.yml", "orgg: x\n")
    tree.commit()
    said = pkgtool("plan").err
    assert {m.group(1) for m in re.finditer(r"--> (\S+?):", said)} == {
        *(f"pkg/{name}/build.yml" for name in "acfgh"),
        "pkgtool.yml",
    }
    assert said.count("in a circle") == 2


def test_what_follows_from_a_mistake_is_no_mistake(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    """A value that can't be read counts neither as right nor as absent."""
    tree.package("a", "dockerfile: [x]\n", dockerfile="")
    tree.package("b", "rootfs: 5\n", dockerfile="")
    tree.package("c", "rootfs: {}\ninputs: 5\n", dockerfile="")
    tree.write("pkg/d/build.yml", "image: [d]\n")
    tree.write("pkg/d/Dockerfile", "FROM scratch\n")
    tree.package("e", "depends:\n  packages: [d, a]\n")
    tree.commit()
    said = pkgtool("plan").err
    assert said.count("error: ") == 5, said
    assert {m.group(1) for m in re.finditer(r"--> pkg/(.)", said)} == set("abcd")
