"""What changed since a release, as Markdown for a job's summary or a release's page, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from pkgtool.report.summary import escape
from pkgtool.workflows.changes import Changes, PackageChange

_FILES_SHOWN = 12
_DEPENDENCIES = ("dependency", "tool", "reference")


def as_markdown(changes: Changes) -> str:
    """A heading, then each package with what moved it."""
    since = f"since {changes.since}" if changes.since else "in the first release"
    lines = [f"### What changed {escape(since)}", ""]
    for change in changes.packages:
        lines += [_headline(change), *_details(change)]
    if not changes.packages:
        lines.append("Nothing: every package has the tag that it had.")
    elif changes.unchanged:
        lines += ["", f"{changes.unchanged} packages did not change."]
    return "\n".join(lines)


def as_json(changes: Changes) -> str:
    """The same for programs."""
    return json.dumps(asdict(changes), indent=2)


def _headline(change: PackageChange) -> str:
    name = f"- **{escape(change.package)}**"
    if not change.after:
        return f"{name} is gone"
    if not change.before:
        return f"{name} is new: `{change.after}`"
    return f"{name}: `{change.before}` → `{change.after}`"


def _details(change: PackageChange) -> Iterator[str]:
    files = [cause for cause in change.causes if cause.what == "file"]
    for cause in files[:_FILES_SHOWN]:
        yield f"  - {escape(cause.name)} {cause.after}"
    if len(files) > _FILES_SHOWN:
        yield f"  - and {len(files) - _FILES_SHOWN} more files"
    for cause in change.causes:
        if cause.what in _DEPENDENCIES:
            yield f"  - stands on {escape(cause.name)}"
        elif cause.what != "file":
            yield f"  - {escape(next(cause.lines()))}"
    for moved in change.inputs:
        yield f"  - {moved.kind}: {escape(str(moved))}"
