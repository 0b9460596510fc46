"""Build packages and what they depend on, in parallel, skipping what exists."""

from __future__ import annotations

import argparse

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool build                          the whole tree, for this machine
  pkgtool build getty sshd               two packages
  pkgtool build --platform linux/arm64   for another platform
  pkgtool build --dry-run                what would be done
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the plan and do nothing")
    parser.add_argument("--force", action="store_true", help="build the named packages anew, without any cache")
    parser.add_argument("--offline", action="store_true", help="fetch nothing: all inputs must be in the store")
    options.add_builder_options(parser)
    options.add_registry_options(parser)
    options.add_tag_options(parser)


def run(parsed: argparse.Namespace) -> int:
    if parsed.dry_run:
        from pkgtool.cli import plan

        return plan.run(parsed)
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import build_report, summary
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.build import build
    from pkgtool.workflows.failures import failure

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        report = build(
            run_options(parsed),
            parsed.packages,
            rebuild=parsed.force,
            offline=parsed.offline,
            events=events,
            cancel=cancel,
        )
    summary.add(summary.of_run("Built", report))
    options.emit(build_report.as_json(report) if parsed.json else build_report.as_table(report))
    if report.results.good:
        return ExitCode.OK
    raise failure(report, interrupted=cancel.requested)
