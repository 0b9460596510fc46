"""What goes wrong with LinuxKit's package tool, and does not here. Each test first shows what its rules would say.

| LinuxKit's tool | here |
|---|---|
| changed extra sources leave the tag clean | `test_changed_extra_sources_make_the_tag_dirty` |
| git-ignored files enter the build context | `test_ignored_files_reach_no_image` |
| other modes, links and names keep the dirty tag | `test_modes_links_and_names_count_in_dirty_tags` |
| build arguments are not in the tag | `test_arguments_from_outside_move_the_tag` |
| resolved `@lkt:` values are not in the tag | `test_a_referred_package_moves_the_tag` |
| a file's time changes the layer | `test_times_of_files_change_nothing` |
| two uncached builds differ | `integration/images/test_same_bytes.py` |
| `--force` overwrites | `integration/registry/push/test_refused.py::test_force_builds_anew_and_does_not_move_a_tag` |
| a registry error is "not there" | `unit/registry/test_publish.py::test_an_unreachable_target_is_no_absent_tag` |
| dirty: too late | `integration/registry/push/test_refused.py::test_a_dirty_tree_is_refused_before_anything_is_done` |
| outside git the tag is `latest` | `unit/fingerprint/test_linuxkit_tags.py::test_outside_git_there_is_no_tag` |
| a git tag publishes a release | `integration/registry/push/test_refused.py::test_a_git_tag_publishes_no_release` |
| one package and one architecture at a time | `test_packages_and_platforms_are_built_side_by_side` |
| five git processes a package | `integration/build/test_startup.py::test_tags_of_fifty_packages` |
| an index is overwritten in races | `integration/registry/test_pushers.py::test_eight_pushers` |
| parallel builds corrupt the cache | `test_processes_share_a_store` |
| the hash of a base is pinned by hand everywhere | `test_a_change_of_a_base_reaches_every_dependent` |
| nothing is signed | `integration/signing/test_cosign_accepts.py` |
| kernel modules are not signed | `integration/kernel/test_small_kernel.py` |
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.engines.interface import BuildRequest, EngineInfo, LineSink
from pkgtool.values import Platform
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, carry_out, make_plan
from tests.support.command_line import PROJECT, CommandLine
from tests.support.instant_engine import InstantEngine
from tests.support.store_images import stored
from tests.support.tags import is_dirty, linuxkit_hash, tag
from tests.support.tree import TreeBuilder


def linuxkit_dirty_suffix(tree: TreeBuilder, path: str) -> str:
    """pkglib's: sha256 over the contents of tracked files, then of untracked ones; no names, no modes."""
    tracked = tree.git("ls-files", "--", path).splitlines()
    untracked = tree.git("ls-files", "--others", "--exclude-standard", "--", path).splitlines()
    existing = (tree.root / name for name in [*tracked, *untracked])
    content = b"".join(place.read_bytes() for place in existing if place.exists())
    return hashlib.sha256(content).hexdigest()[:7]


def build(pkgtool: CommandLine, *, platforms: Iterable[str] = (), engine: type = InstantEngine) -> BuildReport:
    """Build the tree with an engine that only copies."""
    given = tuple(Platform.parse(name) for name in platforms)
    options = RunOptions(directory=pkgtool.directory, store=pkgtool.store, platforms=given, jobs=4)
    planned = make_plan(options, [])
    report = carry_out(planned, options, connect=engine, events=lambda _: None, cancel=Cancellation())
    assert report.results.good, report.results
    return report


def digests(report: BuildReport) -> dict[str, str]:
    return {step: str(r.record.manifest.digest) for step, r in report.results.by_step.items() if r.record}


def test_changed_extra_sources_make_the_tag_dirty(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.write("shared/file", "as committed\n")
    path = tree.package("it", "extra-sources:\n  - ../../shared:shared\n")
    tree.commit()
    clean = linuxkit_hash(tree, path, "shared")
    assert tag(pkgtool, "it") == clean
    tree.write("shared/file", "tampered with\n")
    assert tree.git("status", "--porcelain", "--", path) == "", "LinuxKit looks at the package alone: clean"
    changed = tag(pkgtool, "it")
    assert is_dirty(changed)
    tree.write("shared/file", "tampered with in another way\n")
    assert tag(pkgtool, "it") not in (changed, clean)


def test_ignored_files_reach_no_image(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.write(".gitignore", "*.o\n")
    path = tree.package("it")
    tree.commit()
    before = tag(pkgtool, "it")
    stray = tree.write(f"{path}/x.o", "compiled on somebody's machine\n")
    assert tag(pkgtool, "it") == before == linuxkit_hash(tree, path)
    assert stray.exists(), "LinuxKit's context is the directory, with this file"
    build(pkgtool)
    assert stored(pkgtool.store, f"linuxkit/it:{before}-amd64").names() == {"Dockerfile", "build.yml", "content"}


def _chmod(tree: TreeBuilder, path: str) -> None:
    (tree.root / path / "script").chmod(0o755)


def _retarget(tree: TreeBuilder, path: str) -> None:
    (tree.root / path / "link").unlink()
    (tree.root / path / "link").symlink_to("second")


def _rename(tree: TreeBuilder, path: str) -> None:
    (tree.root / path / "new").rename(tree.root / path / "newer")


@pytest.mark.parametrize("change", [_chmod, _retarget, _rename])
def test_modes_links_and_names_count_in_dirty_tags(
    tree: TreeBuilder, pkgtool: CommandLine, change: Callable[[TreeBuilder, str], None]
) -> None:
    path = tree.package("it", files={"script": "#!/bin/sh\n", "first": "same\n", "second": "same\n"})
    (tree.root / path / "link").symlink_to("first")
    tree.commit()
    tree.write(f"{path}/new", "not committed\n")
    before, linuxkit = tag(pkgtool, "it"), linuxkit_dirty_suffix(tree, path)
    change(tree, path)
    assert linuxkit_dirty_suffix(tree, path) == linuxkit, "LinuxKit sees no difference"
    after = tag(pkgtool, "it")
    assert is_dirty(before)
    assert is_dirty(after)
    assert after != before


def test_arguments_from_outside_move_the_tag(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    path = tree.package("it", "buildArgs:\n  - A=1\n")
    tree.commit()
    linuxkit = linuxkit_hash(tree, path)
    assert tag(pkgtool, "it") == linuxkit
    given = [tag(pkgtool, "it", "--build-arg", f"A={value}") for value in "23"]
    assert len({linuxkit, *given}) == 3
    assert tag(pkgtool, "it", "--build-arg", "A=2") == given[0]


def test_a_referred_package_moves_the_tag(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("other")
    path = tree.package("it", "buildArgs:\n  - OTHER=@lkt:pkg:../other\n")
    tree.commit()
    before, linuxkit = tag(pkgtool, "it"), linuxkit_hash(tree, path)
    tree.write("pkg/other/content", "another\n")
    tree.commit()
    assert linuxkit_hash(tree, path) == linuxkit, "LinuxKit's tag stays, and so does what was built"
    assert tag(pkgtool, "it") != before


def test_times_of_files_change_nothing(tree: TreeBuilder, pkgtool: CommandLine, tmp_path: Path) -> None:
    path = tree.package("it")
    tree.commit()
    first = digests(build(pkgtool))
    for file in (tree.root / path).iterdir():
        os.utime(file, (1, 1))
    again = CommandLine(tree.root, tmp_path / "another store")
    assert digests(build(again)) == first
    image = stored(again.store, f"linuxkit/it:{tag(pkgtool, 'it')}-amd64")
    (layer,) = image.layers
    with tarfile.open(layer) as opened:
        assert len({member.mtime for member in opened}) == 1


class Meeting(InstantEngine):
    """An engine that builds nothing before four builds are under way."""

    together = threading.Barrier(4)

    def build(self, request: BuildRequest, output: Path, *, log: LineSink, cancel: Cancellation) -> EngineInfo:
        self.together.wait(30)
        return super().build(request, output, log=log, cancel=cancel)


def test_packages_and_platforms_are_built_side_by_side(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    for name in ("one", "two"):
        tree.package(name)
    tree.commit()
    report = build(pkgtool, platforms=["linux/amd64", "linux/arm64"], engine=Meeting)
    assert len([step for step in digests(report) if step.startswith("build ")]) == 4


def test_processes_share_a_store(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    """Six at once, each with a package of its own and one that all of them need."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from pkgtool.cancel import Cancellation\n"
        "from pkgtool.workflows.options import RunOptions\n"
        "from pkgtool.workflows.planned import carry_out, make_plan\n"
        "from tests.support.instant_engine import InstantEngine\n"
        "options = RunOptions(directory=Path(sys.argv[2]), store=Path(sys.argv[3]))\n"
        "planned = make_plan(options, sys.argv[4:])\n"
        "done = carry_out(planned, options, connect=InstantEngine, events=lambda _: None, cancel=Cancellation())\n"
        "sys.exit(not done.results.good)\n"
    )
    names = [f"p{number}" for number in range(6)]
    tree.package("shared")
    for name in names:
        tree.package(name, "depends:\n  packages: [shared]\n")
    tree.commit()
    where = [str(PROJECT), str(tree.root), str(pkgtool.store)]
    running = [subprocess.Popen([sys.executable, "-c", program, *where, name]) for name in names]
    assert [process.wait(120) for process in running] == [0] * 6
    found = {item["reference"].partition(":")[0] for item in pkgtool("store", "ls", "--json").ok().json}
    assert found == {f"linuxkit/{name}" for name in (*names, "shared")}
    assert pkgtool("store", "verify").code == 0
    assert pkgtool("plan", "--json").json["steps"], "all of it counts as built"
    assert all(step["done"] for step in pkgtool("plan", "--json").json["steps"])


def test_a_change_of_a_base_reaches_every_dependent(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("base")
    tree.package("middle", "depends:\n  packages: [base]\n")
    tree.package("top", "depends:\n  packages: [middle]\n")
    tree.package("beside")
    tree.commit()
    names = ("base", "middle", "top", "beside")
    before = {name: tag(pkgtool, name) for name in names}
    tree.write("pkg/base/content", "mended\n")
    tree.commit()
    assert tree.git("diff", "--name-only", "HEAD~1") == "pkg/base/content", "nobody edited a hash"
    assert {name for name in names if tag(pkgtool, name) != before[name]} == {"base", "middle", "top"}


def test_every_hole_has_a_test_that_exists() -> None:
    rows = re.findall(r"^\| .* \| `(.+)` \|$", __doc__ or "", flags=re.MULTILINE)
    assert len(rows) == 19
    for row in rows:
        file, _, name = row.rpartition("::") if "::" in row else ("", "", row)
        text = (PROJECT / "tests" / (file or row)).read_text() if file or "/" in row else Path(__file__).read_text()
        assert "/" in name or f"def {name}(" in text, row
