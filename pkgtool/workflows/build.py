"""Build packages and what they depend on."""

from __future__ import annotations

from collections.abc import Sequence

from pkgtool.cancel import Cancellation
from pkgtool.events import Sink
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, carry_out, make_plan
from pkgtool.workflows.pull import consult_registry


def build(
    options: RunOptions,
    packages: Sequence[str],
    *,
    rebuild: bool = False,
    offline: bool = False,
    events: Sink,
    cancel: Cancellation,
) -> BuildReport:
    """Build packages and what they depend on, skipping what exists. Failures of steps are in the report.

    Where a registry is named, what it has under the tags is pulled instead. With `offline`, nothing is fetched: a
    missing input is an error. Raises `ConfigError` for stale locks of what has to be built, before anything is.
    """
    planned = make_plan(options, packages, rebuild=rebuild)
    with consult_registry(planned, options, offline=offline, events=events, cancel=cancel) as (final, actions):
        return carry_out(final, options, actions=actions, offline=offline, events=events, cancel=cancel)
