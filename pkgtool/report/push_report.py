"""The end of a push or of signing: what is published where, and what had to be done for it."""

from __future__ import annotations

import json
from typing import Any

from pkgtool.executor import StepResult
from pkgtool.plan import Step, StepKind
from pkgtool.report.text import size, table
from pkgtool.workflows.planned import BuildReport

_HEADINGS = ("PACKAGE", "STEP", "TAG", "PLATFORMS", "INDEX", "SENT", "RESULT")
_KINDS = (StepKind.PUSH, StepKind.SIGN)


def as_table(report: BuildReport) -> str:
    """A line a package and step, then what was left out."""
    rows = [
        (
            step.package,
            step.kind.value,
            step.reference.tag if step.reference else "-",
            ",".join(_platforms(result)) or "-",
            _index(result)[:19] or "-",
            size(result.sent) if step.kind is StepKind.PUSH else "-",
            result.outcome.value,
        )
        for step, result in _pushes(report)
    ]
    lines = list(table(_HEADINGS, rows)) if rows else ["nothing to publish"]
    lines += [f"{skipped.package} left out: {skipped.reason}" for skipped in report.plan.skipped]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines)


def as_json(report: BuildReport) -> str:
    """The same as a JSON object."""
    packages = []
    for step, result in _pushes(report):
        entry: dict[str, Any] = {
            "package": step.package,
            "step": step.kind.value,
            "reference": str(step.reference),
            "result": result.outcome.value,
            "sent": result.sent,
            "seconds": round(result.seconds, 3),
        }
        if result.record:
            if result.record.manifest.is_index:
                entry["index"] = str(result.record.manifest.digest)
            entry["platforms"] = {str(blob.platform): str(blob.digest) for blob in result.record.blobs}
        if result.error:
            entry["error"] = result.error.message
        packages.append(entry)
    skipped = [{"package": s.package, "reason": s.reason} for s in report.plan.skipped]
    return json.dumps({"steps": packages, "skipped": skipped}, indent=2)


def _pushes(report: BuildReport) -> list[tuple[Step, StepResult]]:
    return [(s, report.results.by_step[s.id]) for s in report.plan.steps if s.kind in _KINDS]


def _index(result: StepResult) -> str:
    return str(result.record.manifest.digest) if result.record and result.record.manifest.is_index else ""


def _platforms(result: StepResult) -> list[str]:
    return [str(blob.platform).removeprefix("linux/") for blob in result.record.blobs] if result.record else []
