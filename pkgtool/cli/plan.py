"""Show the steps that build would do, and why each; nothing is done."""

from __future__ import annotations

import argparse

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool plan                 the whole tree
  pkgtool plan getty --json    one package, for programs
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    parser.add_argument("--force", action="store_true", help="as if the named packages were built anew")
    options.add_tag_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.report import plan_report
    from pkgtool.workflows.build import make_plan

    planned = make_plan(run_options(parsed), parsed.packages, rebuild=parsed.force)
    write = plan_report.as_json if parsed.json else plan_report.as_text
    options.emit(write(planned.tree, planned.plan))
    return ExitCode.OK
