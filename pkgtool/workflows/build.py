"""Build packages and what they depend on."""

from __future__ import annotations

from collections.abc import Sequence

from pkgtool.cancel import Cancellation
from pkgtool.events import Note, Sink
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, carry_out, make_plan
from pkgtool.workflows.pull import consult_registry, failed_pull


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

    Where a registry is named, what it has under the tags is pulled instead; one that is optional and breaks while it
    is pulled from is done without. With `offline`, nothing is fetched: a missing input is an error. Raises
    `ConfigError` for stale locks of what has to be built, before anything is.
    """
    planned = make_plan(options, packages, rebuild=rebuild)
    with consult_registry(planned, options, offline=offline, events=events, cancel=cancel) as (final, actions):
        report = carry_out(final, options, actions=actions, offline=offline, events=events, cancel=cancel)
    failure = failed_pull(report) if options.registry_optional else None
    if failure is None:
        return report
    events(Note("warning", f"{failure.message}; building what could have been pulled"))
    planned = make_plan(options, packages, rebuild=rebuild)
    return carry_out(planned, options, offline=offline, events=events, cancel=cancel)
