"""The end of a build: the table, the JSON, and the error that says what failed and what could not be done."""

from __future__ import annotations

import json
from typing import Any

from pkgtool.executor import Outcome, StepResult
from pkgtool.plan import IMAGE_KINDS, Step
from pkgtool.report.text import duration, size, table
from pkgtool.workflows.planned import BuildReport

_HEADINGS = ("PACKAGE", "TAG", "PLATFORM", "DIGEST", "SIZE", "TIME", "RESULT")


def as_table(report: BuildReport) -> str:
    """A line a package and platform, then what was left out."""
    rows = [_row(report, step, result) for step, result in _builds(report)]
    lines = list(table(_HEADINGS, rows)) if rows else []
    lines += [f"{skipped.package} left out: {skipped.reason}" for skipped in report.plan.skipped]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines) or "nothing to build"


def as_json(report: BuildReport) -> str:
    """The same as a JSON object."""
    images = []
    for step, result in _builds(report):
        entry: dict[str, Any] = {
            "package": step.package,
            "reference": str(report.tree.fingerprints[step.package].reference),
            "platform": str(step.platform),
            "result": result.outcome.value,
            "seconds": round(result.seconds, 3),
        }
        if result.record:
            entry |= {"digest": str(result.record.manifest.digest), "size": result.record.size}
            entry["madeBy"] = result.record.made_by
        if result.error:
            entry["error"] = result.error.message
        images.append(entry)
    skipped = [{"package": s.package, "reason": s.reason} for s in report.plan.skipped]
    document = {"store": str(report.store.root), "images": images, "skipped": skipped, "notes": list(report.notes)}
    return json.dumps(document, indent=2)


def _builds(report: BuildReport) -> list[tuple[Step, StepResult]]:
    return [(s, report.results.by_step[s.id]) for s in report.plan.steps if s.kind in IMAGE_KINDS]


def _row(report: BuildReport, step: Step, result: StepResult) -> tuple[str, ...]:
    record = result.record
    return (
        step.package,
        report.tree.fingerprints[step.package].reference.tag,
        str(step.platform),
        str(record.manifest.digest)[:19] if record else "-",
        size(record.size) if record else "-",
        duration(result.seconds) if result.outcome in (Outcome.BUILT, Outcome.PULLED) else "-",
        result.outcome.value,
    )
