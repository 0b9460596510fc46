"""Copy a release that was exported into a registry, with its signatures and attestations."""

from __future__ import annotations

import argparse
from pathlib import Path

from pkgtool.cli import options, transfers
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool import release-v1.2.tar registry.example.com/team
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="PATH", help="what 'pkgtool export' wrote")
    parser.add_argument("target", metavar="DST", help="the registry that gets it: HOST[:PORT][/PREFIX]")
    options.add_replace(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.promote import Moving, import_release

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    moving = Moving(events, tuple(parsed.replace))
    with cancellable() as cancel:
        _, done = import_release(run_options(parsed), parsed.path, parsed.target, moving, cancel=cancel)
    transfers.emit(done, as_json=parsed.json)
    return ExitCode.OK
