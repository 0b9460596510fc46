"""Bring what the registry has under the current tags into the store."""

from __future__ import annotations

import argparse

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool pull --registry localhost:5000
  pkgtool pull --platform linux/arm64 getty
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    options.add_registry_options(parser, pulling=False)
    options.add_tag_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import build_report
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.failures import failure
    from pkgtool.workflows.pull import pull

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        report = pull(run_options(parsed), parsed.packages, events=events, cancel=cancel)
    options.emit(build_report.as_json(report) if parsed.json else build_report.as_table(report))
    if report.results.good:
        return ExitCode.OK
    raise failure(report, interrupted=cancel.requested)
