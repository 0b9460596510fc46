"""`pkgtool kernel list`."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from pkgtool.cli import options
from pkgtool.errors import ExitCode, UsageError


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.kernel.common import kernel_names
    from pkgtool.report.text import table
    from pkgtool.workflows.kernels import series_of
    from pkgtool.workflows.tree import find_root

    known = series_of(find_root(parsed.directory))
    chosen = {name.series for name in kernel_names(parsed)}
    if unknown := sorted(chosen - known.keys()):
        raise UsageError(f"there is no series {', '.join(unknown)}", hint=f"there are {', '.join(known)}")
    found = [series for name, series in known.items() if name in chosen]
    if parsed.json:
        documents = [
            {
                "series": series.name,
                "version": series.version,
                "endOfLife": series.end_of_life.isoformat(),
                "compiler": series.compiler,
                "platforms": [str(platform) for platform in series.platforms],
                "variants": {name: list(fragments) for name, fragments in series.variants.items()},
                "releases": {
                    version: {
                        "source": release.url or release.git,
                        "sha256" if release.url else "commit": release.sha256.hex if release.sha256 else release.commit,
                        "patches": list(release.patches),
                    }
                    for version, release in series.releases.items()
                },
            }
            for series in found
        ]
        options.emit(json.dumps(documents, indent=2))
        return ExitCode.OK
    today = datetime.now(UTC).date()
    rows = [
        (
            series.name,
            series.version,
            f"{series.end_of_life}{' (over)' if series.is_over(today) else ''}",
            series.compiler,
            ",".join(platform.arch for platform in series.platforms),
            ",".join(series.variants),
            ",".join(version for version in series.releases if version != series.version) or "-",
        )
        for series in found
    ]
    head = ("SERIES", "VERSION", "END OF LIFE", "COMPILER", "PLATFORMS", "VARIANTS", "ALSO PINNED")
    options.emit("\n".join(table(head, rows)))
    return ExitCode.OK
