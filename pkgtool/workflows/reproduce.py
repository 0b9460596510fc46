"""Rebuild what the tree's packages are, as differently as possible, and compare the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pkgtool.cancel import Cancellation
from pkgtool.events import Sink
from pkgtool.workflows.build import build
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport
from pkgtool.workflows.rebuild import Comparison, compared, elsewhere, rebuild, rebuilt_steps


@dataclass(frozen=True, slots=True)
class ReproduceReport:
    """The comparisons; or, if one of the builds failed, none, and its report."""

    comparisons: tuple[Comparison, ...]
    failed: BuildReport | None = None


def reproduce(options: RunOptions, packages: Sequence[str], *, events: Sink, cancel: Cancellation) -> ReproduceReport:
    """Rebuild packages without any cache, in another store and directory, with another umask, and compare.

    The rebuild takes `options.builders` or `options.engine`; with both left open, another engine than the originals
    had, if there is one.
    What the packages stand on is taken from the store, which is left as it was.
    """
    usual = replace(options, engine="auto", builders=(), pull=False)
    original = build(usual, packages, events=events, cancel=cancel)
    if not original.results.good:
        return ReproduceReport((), original)
    with elsewhere(options, original.store, original.tree.names) as store:
        makers = {r.record.made_by for r in original.results.by_step.values() if r.record}
        rebuilt = rebuild(options, original.tree.names, makers, store, events=events, cancel=cancel)
        if not rebuilt.results.good:
            return ReproduceReport((), rebuilt)
        comparisons = []
        for step in rebuilt_steps(rebuilt, original.tree.names):
            record = original.results.by_step[step.id].record
            assert record is not None
            comparisons.append(compared(record, original.store, rebuilt, step))
        return ReproduceReport(tuple(comparisons))
