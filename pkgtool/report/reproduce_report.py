"""What a rebuild showed, as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pkgtool.report.text import table
from pkgtool.workflows.rebuild import Comparison

_MOST_LINES = 40


def text(comparisons: Sequence[Comparison]) -> str:
    """A line an image: both digests, who made it, who rebuilt it."""
    rows = [
        (
            c.package,
            str(c.platform),
            str(c.original.manifest.digest)[:19],
            c.original.made_by,
            str(c.rebuilt.manifest.digest)[:19],
            c.rebuilt.made_by,
            "same" if c.same else "DIFFERENT",
        )
        for c in comparisons
    ]
    headings = ("PACKAGE", "PLATFORM", "DIGEST", "MADE BY", "REBUILT", "MADE BY", "RESULT")
    return "\n".join(table(headings, rows)) if rows else "nothing to rebuild"


def documents(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The same as data."""
    return [
        {
            "package": c.package,
            "platform": str(c.platform),
            "same": c.same,
            "original": {"digest": str(c.original.manifest.digest), "madeBy": c.original.made_by},
            "rebuilt": {"digest": str(c.rebuilt.manifest.digest), "madeBy": c.rebuilt.made_by},
            "differences": list(c.difference.lines()) if c.difference else [],
            "extracted": c.extracted,
        }
        for c in comparisons
    ]


def difference_lines(comparison: Comparison) -> Iterator[str]:
    """What differs in one image, not endlessly."""
    yield f"{comparison.package} {comparison.platform}:"
    lines = list(comparison.difference.lines()) if comparison.difference else []
    yield from (f"  {line}" for line in lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        yield f"  and {len(lines) - _MOST_LINES} more"
