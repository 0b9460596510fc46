"""`ci matrix` on real repositories: exactly what changed and what stands on it, in waves, balanced, and quick."""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import big_tree
from tests.support.big_tree import PLATFORMS, BigTree
from tests.support.command_line import CommandLine
from tests.support.tree import TreeBuilder

COUNT = 1000
SHARDS = 8
pytestmark = pytest.mark.xdist_group("thousand packages")


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> BigTree:
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Test")
            patch.setenv(f"GIT_{who}_EMAIL", "test@example.com")
        return big_tree.make(TreeBuilder(tmp_path_factory.mktemp("thousand") / "tree").init(), COUNT)


@pytest.fixture
def pkgtool(thousand: BigTree, tmp_path: Path) -> CommandLine:
    return CommandLine(thousand.builder.root, tmp_path / "store")


@pytest.fixture(scope="module")
def timings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded times as builds have them: most take seconds, some minutes."""
    rng = random.Random(3)
    steps = [f"build p{number:04} {platform}" for number in range(COUNT) for platform in PLATFORMS]
    file = tmp_path_factory.mktemp("timings") / "timings.json"
    file.write_text(json.dumps({step: round(rng.lognormvariate(3, 1), 2) for step in steps}))
    return file


def change(tree: BigTree, packages: Iterable[str]) -> str:
    """Commit a change of these packages; answers the commit before."""
    before = tree.builder.git("rev-parse", "HEAD")
    for package in packages:
        tree.builder.write(f"pkg/{package}/content", f"after {before}\n")
    tree.builder.commit("a change")
    return before


def waves_of(document: Any) -> list[dict[str, set[str]]]:
    """For each wave, the packages by platform. None may be named twice."""
    found = []
    for wave in document["waves"]:
        packages: dict[str, set[str]] = {platform: set() for platform in PLATFORMS}
        for job in wave:
            names = job["packages"].split()
            assert not packages[job["platform"]] & set(names)
            packages[job["platform"]] |= set(names)
        found.append(packages)
    return found


def check(tree: BigTree, document: Any, expected: set[str]) -> None:
    """The matrix holds exactly `expected`, once for each platform, each after all that it stands on."""
    built: dict[str, set[str]] = {platform: set() for platform in PLATFORMS}
    for wave in waves_of(document):
        for platform, names in wave.items():
            for name in names:
                assert set(tree.needs[name]) & expected <= built[platform], f"{name} comes too early"
        for platform, names in wave.items():
            built[platform] |= names
    assert built == dict.fromkeys(PLATFORMS, expected)


@pytest.mark.parametrize("seed", range(3))
def test_a_changed_base_and_a_changed_leaf_bring_what_stands_on_them(
    thousand: BigTree, pkgtool: CommandLine, seed: int
) -> None:
    rng = random.Random(seed)
    changed = (rng.choice(thousand.bases), rng.choice(thousand.leaves))
    before = change(thousand, changed)
    expected = thousand.standing_on(changed)
    check(thousand, pkgtool("ci", "matrix", "--since", before).ok().json, expected)
    explained = pkgtool("ci", "explain", "--since", before, "--json").ok().json
    assert {entry["package"] for entry in explained if entry["included"]} == expected
    assert len(explained) == COUNT


@settings(max_examples=25)
@given(
    st.integers(1, 12),
    st.integers(0, 1000),
    st.sets(st.integers(0, 11), max_size=4),
    st.integers(1, 3),
)
def test_small_trees_against_every_package_asked_again_and_again(
    tmp_path_factory: pytest.TempPathFactory, count: int, seed: int, positions: set[int], shards: int
) -> None:
    place = tmp_path_factory.mktemp("small")
    tree = big_tree.make(TreeBuilder(place / "tree").init(), count, seed=seed)
    changed = {f"p{position:04}" for position in positions if position < count}
    before = change(tree, changed)
    line = CommandLine(tree.builder.root, place / "store")
    check(tree, line("ci", "matrix", "--since", before, "--shards", str(shards)).ok().json, tree.standing_on(changed))


def test_it_takes_less_than_two_seconds(thousand: BigTree, pkgtool: CommandLine) -> None:
    """Of processor time, git's included: on a machine with nothing else to do it is the time one waits."""
    before = change(thousand, (thousand.bases[0], thousand.leaves[0]))
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    pkgtool.run("ci", "matrix", "--since", before, "--shards", str(SHARDS)).ok()
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (end.ru_utime - start.ru_utime) + (end.ru_stime - start.ru_stime) < 2.0


def test_shards_are_balanced_by_recorded_times(pkgtool: CommandLine, timings: Path) -> None:
    """Within a tenth of a limit that no sharing can beat: the mean, or the longest package."""
    seconds = json.loads(timings.read_text())
    document = pkgtool("ci", "matrix", "--shards", str(SHARDS), "--timings", str(timings)).ok().json
    compared = 0
    for wave in document["waves"]:
        for platform in PLATFORMS:
            jobs = [job for job in wave if job["platform"] == platform]
            packages = [[seconds[f"build {n} {platform}"] for n in job["packages"].split()] for job in jobs]
            each = [time for job in packages for time in job]
            assert len(jobs) == min(SHARDS, len(each))
            for job, times in zip(jobs, packages, strict=True):
                assert job["seconds"] == pytest.approx(sum(times), abs=0.1)
            assert max(sum(job) for job in packages) <= 1.1 * max(sum(each) / len(jobs), *each)
            compared += 1
    assert compared > 10


def test_a_moved_commit_without_a_moved_tag_brings_nothing(thousand: BigTree, pkgtool: CommandLine) -> None:
    before = change(thousand, ())
    assert pkgtool("ci", "matrix", "--since", before).ok().json == {"waves": []}


def test_github_gets_one_output_a_wave(thousand: BigTree, pkgtool: CommandLine) -> None:
    before = change(thousand, (thousand.leaves[1],))
    lines = pkgtool("ci", "matrix", "--since", before, "--format", "github").ok().out.splitlines()
    outputs = dict(line.split("=", 1) for line in lines)
    assert json.loads(outputs["waves"]) == [0]
    entries = json.loads(outputs["wave0"])["include"]
    assert [entry["runner"] for entry in entries] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
    assert {entry["packages"] for entry in entries} == {thousand.leaves[1]}
