"""The difference of two images, as text and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pkgtool.oci.compare import Detail, FileDifference
from pkgtool.report.text import size
from pkgtool.workflows.diff import DiffReport, PlatformDifference, Side

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def text(report: DiffReport) -> str:
    """A section a platform: digests and sizes, packages, configuration, files."""
    lines = [f"--- {report.before}", f"+++ {report.after}"]
    for each in report.platforms:
        lines += ["", *_platform(each)]
    for platforms, side in ((report.only_before, report.before), (report.only_after, report.after)):
        if platforms:
            lines += ["", f"only {side} has {', '.join(map(str, platforms))}"]
    return "\n".join(lines)


def _platform(found: PlatformDifference) -> Iterator[str]:
    if found.same:
        yield f"{found.platform}: the same image {found.before.image.digest}, {_sizes(found.before)}"
        return
    yield f"{found.platform}:"
    yield f"  - {found.before.image.digest}, {_sizes(found.before)}"
    yield f"  + {found.after.image.digest}, {_sizes(found.after)}"
    if found.components:
        yield "  packages:"
        yield from (f"    {change}" for change in found.components)
    if found.contents.configuration:
        yield "  configuration:"
        yield from (f"    {each.what}: {each.before} → {each.after}" for each in found.contents.configuration)
    if found.contents.files:
        yield f"  files: {_count(found.contents.files)}"
        yield from (f"    {_file(each)}" for each in found.contents.files)
    yield from (f"  {line}" for line in found.contents.layers)


def _sizes(side: Side) -> str:
    return f"{size(side.compressed)} ({size(side.unpacked)} unpacked)"


def _count(files: tuple[FileDifference, ...]) -> str:
    counted = Counter(file.change for file in files)
    return ", ".join(f"{counted[change]} {change}" for change in _SIGNS if counted[change])


def _file(file: FileDifference) -> str:
    if file.change == "changed":
        return f"~ {file.path}: {', '.join(map(str, file.details))}"
    told = f"{file.kind}, {size(file.size_before or file.size_after)}" if file.kind == "file" else file.kind
    return f"{_SIGNS[file.change]} {file.path} ({told})"


def document(report: DiffReport) -> dict[str, Any]:
    """The same as data; sizes in bytes."""
    return {
        "before": report.before,
        "after": report.after,
        "same": report.same,
        "onlyBefore": [str(platform) for platform in report.only_before],
        "onlyAfter": [str(platform) for platform in report.only_after],
        "platforms": [
            {
                "platform": str(each.platform),
                "same": each.same,
                "before": _side(each.before),
                "after": _side(each.after),
                "packages": [
                    {"kind": c.kind.value, "name": c.name, "before": list(c.before), "after": list(c.after)}
                    for c in each.components
                ],
                "configuration": [_detail(detail) for detail in each.contents.configuration],
                "files": [_file_document(file) for file in each.contents.files],
                "layers": list(each.contents.layers),
            }
            for each in report.platforms
        ],
    }


def _side(side: Side) -> dict[str, Any]:
    return {"digest": str(side.image.digest), "compressed": side.compressed, "unpacked": side.unpacked}


def _detail(detail: Detail) -> dict[str, str]:
    return {"what": detail.what, "before": detail.before, "after": detail.after}


def _file_document(file: FileDifference) -> dict[str, Any]:
    return {
        "path": file.path,
        "change": file.change,
        "kind": file.kind,
        "sizeBefore": file.size_before,
        "sizeAfter": file.size_after,
        "details": [_detail(detail) for detail in file.details],
    }
