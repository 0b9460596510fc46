"""`pkgtool kernel build`."""

from __future__ import annotations

import argparse

from pkgtool.cli import options
from pkgtool.errors import ExitCode


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.kernel.common import kernel_names, kernel_run_options, package_names
    from pkgtool.cli.session import cancellable
    from pkgtool.report import build_report
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.build import build
    from pkgtool.workflows.failures import failure

    names = package_names(kernel_names(parsed), unsigned=parsed.unsigned)
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        report = build(
            kernel_run_options(parsed),
            names,
            rebuild=parsed.force,
            offline=parsed.offline,
            events=events,
            cancel=cancel,
        )
    options.emit(build_report.as_json(report) if parsed.json else build_report.as_table(report))
    if report.results.good:
        return ExitCode.OK
    raise failure(report, interrupted=cancel.requested)
