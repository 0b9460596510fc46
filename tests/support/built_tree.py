"""A store in which everything of a tree is built, by an engine that only copies."""

from __future__ import annotations

from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import carry_out, make_plan
from tests.support.instant_engine import InstantEngine


def build(tree: Path, store: Path) -> None:
    """Build all packages of a tree for this machine's platform."""
    options = RunOptions(directory=tree, store=store)
    planned = make_plan(options, [])
    report = carry_out(planned, options, connect=InstantEngine, events=lambda _: None, cancel=Cancellation())
    assert report.results.good, report.results
