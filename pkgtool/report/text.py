"""Plain text: errors with their place, tables, sizes, durations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pkgtool.errors import PkgtoolError, Problems
from pkgtool.events import StepFinished


def error_lines(error: PkgtoolError) -> Iterator[str]:
    """An error for people: what, where (with the line itself), the causes, the details, and the way out."""
    if isinstance(error, Problems):
        for problem in error.problems:
            yield from error_lines(problem)
            yield ""
        yield f"error: {error.message}"
        return
    yield f"error: {error.message}"
    where = error.location
    if where is not None:
        yield f"  --> {where}"
        if where.text:
            number = str(where.line)
            yield f"   {number} | {where.text.rstrip()}"
            if where.column:
                yield f"   {' ' * len(number)} | {' ' * (where.column - 1)}^"
    yield from _causes(error)
    for detail in error.details:
        yield f"  | {detail}"
    log = getattr(error, "log", None)
    if log is not None:
        yield f"  log: {log}"
    if error.hint:
        yield f"hint: {error.hint}"


def _causes(error: PkgtoolError) -> Iterator[str]:
    told = error.message
    cause = error.__cause__
    while cause is not None:
        text = cause.message if isinstance(cause, PkgtoolError) else f"{cause}" or type(cause).__name__
        if text and text not in told:
            yield f"  caused by: {text}"
            told += text
        cause = cause.__cause__


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with aligned columns, two spaces between them, no trailing space."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    for row in (headings, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def size(count: int) -> str:
    """Bytes for people: 512 B, 3.4 MB (powers of ten)."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError


def duration(seconds: float) -> str:
    """Seconds for people: 0.4 s, 12.3 s, 3 min 05 s."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def finished_line(event: StepFinished) -> str:
    """A step's end in one line."""
    what = f"{event.step}: {event.outcome}"
    if event.outcome in ("blocked", "cancelled"):
        return f"{what} ({event.detail})" if event.detail else what
    return f"{what} in {duration(event.seconds)}" + (f" {event.detail[:19]}" if event.detail else "")
