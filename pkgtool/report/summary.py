"""What a CI job did, in Markdown: what GitHub shows of a job when its file is added to $GITHUB_STEP_SUMMARY."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pkgtool.errors import PkgtoolError
from pkgtool.executor import Outcome, StepResult
from pkgtool.plan import IMAGE_KINDS, Step, StepKind
from pkgtool.report.text import duration, size
from pkgtool.workflows.planned import BuildReport

VARIABLE = "GITHUB_STEP_SUMMARY"
_MOST_ROWS = 500
"""A summary may have 1 MiB."""
_ORDER = {Outcome.FAILED: 0, Outcome.BLOCKED: 1, Outcome.CANCELLED: 2, Outcome.BUILT: 3, Outcome.PULLED: 4}


def add(text: str, environment: Mapping[str, str] = os.environ) -> None:
    """Add to the job's summary, where there is one."""
    place = environment.get(VARIABLE)
    if place:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def of_run(title: str, report: BuildReport) -> str:
    """A build or push: how many images came about how, each with its size, time and digest, and what failed."""
    steps = [(step, report.results.by_step[step.id]) for step in report.plan.steps]
    images = [(step, result) for step, result in steps if step.kind in IMAGE_KINDS]
    published = [(step, result) for step, result in steps if step.kind in (StepKind.PUSH, StepKind.SIGN)]
    lines = [f"### {title}", "", _counted(images), ""]
    rows = sorted(images, key=lambda item: (_ORDER.get(item[1].outcome, 9), item[0].title))
    lines += table(("package", "platform", "result", "size", "time", "digest"), [_image(*row) for row in rows])
    lines += table(("package", "step", "result", "sent", "index"), [_publication(*row) for row in published])
    failed = [result.error for _, result in steps if result.error and result.outcome is Outcome.FAILED]
    lines += [line for error in failed for line in _failure(error)]
    lines += [f"- {escape(note)}" for note in report.notes]
    lines += [f"- {escape(skipped.package)} left out: {escape(skipped.reason)}" for skipped in report.plan.skipped]
    return "\n".join(lines)


def of_rows(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, said: str = "") -> str:
    """A heading, a sentence, a table."""
    return "\n".join([f"### {title}", "", *([said, ""] if said else []), *table(headings, rows)])


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table, or nothing without rows; of very many rows the first."""
    if not rows:
        return
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    yield from (f"| {' | '.join(row)} |" for row in rows[:_MOST_ROWS])
    yield ""
    if len(rows) > _MOST_ROWS:
        yield f"and {len(rows) - _MOST_ROWS} more"
        yield ""


def escape(text: str) -> str:
    """Text that stands in Markdown as it is."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")


def _counted(images: Iterable[tuple[Step, StepResult]]) -> str:
    images = list(images)
    if not images:
        return "Nothing to build."
    counts = Counter(result.outcome.value for _, result in images)
    built = sum(result.seconds for _, result in images if result.outcome is Outcome.BUILT)
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    bytes_of = {blob.digest: blob.size for _, r in images if r.record for blob in (r.record.manifest, *r.record.blobs)}
    return f"{len(images)} images: {said}; {size(sum(bytes_of.values()))} in all, {duration(built)} of building."


def _image(step: Step, result: StepResult) -> tuple[str, ...]:
    record = result.record
    timed = result.outcome in (Outcome.BUILT, Outcome.PULLED, Outcome.FAILED)
    return (
        escape(step.package),
        str(step.platform),
        f"**{result.outcome.value}**" if result.outcome is Outcome.FAILED else result.outcome.value,
        size(record.size) if record else "",
        duration(result.seconds) if timed else "",
        f"`{record.manifest.digest}`" if record else "",
    )


def _publication(step: Step, result: StepResult) -> tuple[str, ...]:
    index = f"`{result.record.manifest.digest}`" if result.record else ""
    sent = size(result.sent) if step.kind is StepKind.PUSH else ""
    return escape(step.package), step.kind.value, result.outcome.value, sent, index


def _failure(error: PkgtoolError) -> Iterator[str]:
    yield f"**{escape(error.message)}**" + (f" ({escape(str(error.location))})" if error.location else "")
    yield ""
    fence = max(("~~~", *(f"{run}~" for line in error.details for run in re.findall("~+", line))), key=len)
    if error.details:
        yield from (fence, *error.details, fence, "")
