"""What must be quick every day. Times bear a loaded machine; benchmarks/startup.py measures them exactly."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import built_tree, many_packages
from tests.support.measure import cost, started_programs

pytestmark = [pytest.mark.xdist_group("startup")]

PKGTOOL = str(Path(sys.executable).parent / "pkgtool")
MARGIN = 3
"""How much more processor time than the limit allows of wall time: another machine, and one that is busy."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tree of 50 packages, all built."""
    place = tmp_path_factory.mktemp("startup")
    built_tree.build(many_packages.make(place / "tree", 50), place / "store")
    yield place
    shutil.rmtree(place)


def on_tree(place: Path, *arguments: str) -> list[str]:
    return [PKGTOOL, "-C", str(place / "tree"), "--store", str(place / "store"), *arguments]


def test_help() -> None:
    assert started_programs([PKGTOOL, "--help"]).total() == 1
    assert cost([PKGTOOL, "--help"], rounds=3).processor < 0.2 * MARGIN


def test_tags_of_fifty_packages(place: Path) -> None:
    programs = started_programs(on_tree(place, "show-tag"))
    assert 1 <= programs["git"] <= 3
    assert set(programs) == {"pkgtool", "git"}
    assert cost(on_tree(place, "show-tag"), rounds=3).processor < 0.35 * MARGIN


def test_a_build_with_nothing_to_do_starts_no_engine(place: Path) -> None:
    programs = started_programs(on_tree(place, "build"))
    assert 1 <= programs["git"] <= 3
    assert set(programs) == {"pkgtool", "git"}
    assert cost(on_tree(place, "build"), rounds=3).processor < 0.6 * MARGIN


def test_a_build_with_nothing_to_do_asks_no_engine(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even whether one is there: an address that would hang is never contacted."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    monkeypatch.setenv("PATH", str(Path(shutil.which("git") or "").parent))
    assert cost(on_tree(place, "build")).seconds < 5


def test_a_plan_of_thousands(tmp_path: Path) -> None:
    """Linear: a package more costs no more in a large tree than in a small one."""
    costs = []
    for count in (200, 600, 1400):
        tree = many_packages.make(tmp_path / str(count), count)
        costs.append(cost([PKGTOOL, "-C", str(tree), "--store", str(tmp_path / "store"), "plan"], rounds=2))
        shutil.rmtree(tree)
    small, middle, large = costs
    assert (large.processor - middle.processor) / 800 < 2.5 * (middle.processor - small.processor) / 400
    assert large.memory < 100e6
    assert large.processor < 0.6 * MARGIN
