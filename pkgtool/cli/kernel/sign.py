"""`pkgtool kernel sign`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pkgtool.cli import options
from pkgtool.errors import ExitCode, UsageError


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.kernel.common import kernel_names, kernel_run_options, package_names
    from pkgtool.cli.session import cancellable
    from pkgtool.report import build_report
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.failures import failure
    from pkgtool.workflows.kernel_images import detach, seal_built

    names = kernel_names(parsed)
    if parsed.detach and len(names) != 1:
        raise UsageError("--detach writes the signatures of one kernel", hint="name one series")
    run_options = kernel_run_options(parsed)
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        if parsed.detach:
            count = detach(run_options, str(names[0]), Path(parsed.detach))
            said = {"file": parsed.detach, "signatures": count}
            options.emit(json.dumps(said) if parsed.json else f"{count} signatures written to {parsed.detach}")
            return ExitCode.OK
        report = seal_built(run_options, package_names(names), events=events, cancel=cancel)
    options.emit(build_report.as_json(report) if parsed.json else build_report.as_table(report))
    if report.results.good:
        return ExitCode.OK
    raise failure(report, interrupted=cancel.requested)
