"""Copy a release from one registry to another, with its signatures and attestations, without a rebuild."""

from __future__ import annotations

import argparse
from pathlib import Path

from pkgtool.cli import options, transfers
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool promote --release v1.2.json staging.example.com registry.example.com/team
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC", help="the registry that has the release: HOST[:PORT][/PREFIX]")
    parser.add_argument("target", metavar="DST", help="the registry that gets it")
    parser.add_argument("--release", type=Path, required=True, metavar="FILE", help="the release file")
    options.add_replace(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.release import Release
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.promote import Moving, promote

    release = Release.read(parsed.release)
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    moving = Moving(events, tuple(parsed.replace))
    with cancellable() as cancel:
        done = promote(run_options(parsed), release, parsed.source, parsed.target, moving, cancel=cancel)
    transfers.emit(done, as_json=parsed.json)
    return ExitCode.OK
