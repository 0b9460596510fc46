"""The failures of a run, as the one error that ends it."""

from __future__ import annotations

from pkgtool.errors import Interrupted, PkgtoolError, Problems
from pkgtool.executor import Outcome
from pkgtool.plan import IMAGE_KINDS
from pkgtool.workflows.planned import BuildReport


def failure(report: BuildReport, *, interrupted: bool) -> PkgtoolError:
    """What went wrong, as one error."""
    failed = [result.error for result in report.results.by_step.values() if result.outcome is Outcome.FAILED]
    # A registry that is down is down for every package: that is said once.
    errors = list({(str(error), error.hint, error.location): error for error in failed if error is not None}.values())
    stopped = [report.plan.by_id[step] for step in report.results.with_outcome(Outcome.BLOCKED)]
    blocked = sorted(step.title for step in stopped if step.kind in IMAGE_KINDS)
    if interrupted or not errors:
        return Interrupted(hint="what is finished is kept; the same command goes on from there")
    if blocked:
        last = errors[-1]
        last.details = (*last.details, f"could not be built because of it: {', '.join(blocked)}")
    return errors[0] if len(errors) == 1 else Problems(errors)
