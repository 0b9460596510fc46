"""Bring the locked inputs of packages and of what they depend on into the store."""

from __future__ import annotations

import argparse
import dataclasses
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool fetch && pkgtool build --offline
  pkgtool fetch --platform linux/arm64 sshd
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report.progress import sink_for
    from pkgtool.report.text import size, table
    from pkgtool.workflows.fetch import fetch

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        found = fetch(run_options(parsed), parsed.packages, events=events, cancel=cancel)
    if parsed.json:
        options.emit(json.dumps([dataclasses.asdict(item) for item in found], indent=2))
    else:
        rows = [(item.package, str(item.inputs), str(item.fetched), size(item.size)) for item in found]
        options.emit("\n".join(table(("PACKAGE", "INPUTS", "FETCHED", "SIZE"), rows)))
    return ExitCode.OK
