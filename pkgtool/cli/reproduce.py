"""Rebuild packages without any cache, elsewhere, with another engine and umask, and compare the digests."""

from __future__ import annotations

import argparse
import json

from pkgtool.cli import options
from pkgtool.errors import CheckFailed, ExitCode

EXAMPLES = """\
examples:
  pkgtool reproduce getty                    with an engine that did not make it, if there is one
  pkgtool reproduce --engine buildah
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    options.add_builder_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import build_report, reproduce_report, summary
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.reproduce import reproduce

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        report = reproduce(run_options(parsed), parsed.packages, events=events, cancel=cancel)
        if report.failed:
            raise build_report.failure(report.failed, interrupted=cancel.requested)
    found = report.comparisons
    rows = [
        (c.package, str(c.platform), "same" if c.same else "**different**", f"`{c.rebuilt.manifest.digest}`")
        for c in found
    ]
    summary.add(summary.of_rows("Rebuilt", ("package", "platform", "bytes", "digest"), rows))
    options.emit(
        json.dumps(reproduce_report.documents(found), indent=2) if parsed.json else reproduce_report.text(found)
    )
    different = [comparison for comparison in found if not comparison.same]
    if not different:
        return ExitCode.OK
    raise CheckFailed(
        f"{len(different)} of {len(found)} images came out differently",
        details=[line for comparison in different for line in reproduce_report.difference_lines(comparison)],
        hint=f"diffoscope {different[0].extracted}/original {different[0].extracted}/rebuilt",
    )
