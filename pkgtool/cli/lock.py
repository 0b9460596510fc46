"""Resolve what packages take from outside and pin it in inputs.lock; or check that locks are current."""

from __future__ import annotations

import argparse
import dataclasses
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool lock                          write what is missing or stale
  pkgtool lock --check                  fail if a lock is missing or stale; no network
  pkgtool lock --update openssh-server  let it move, with what its new version needs
  pkgtool lock --update libc6 base      only in this package's lock
  pkgtool lock --update-all base        everything as new as it can be
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only say whether the locks are current")
    how.add_argument(
        "--update",
        action="append",
        default=[],
        metavar="NAME",
        help="let this input move, in the packages named or in all whose locks have it; repeatable",
    )
    how.add_argument("--update-all", action="store_true", help="let every input move")


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.locks import check, lock

    if parsed.check:
        names = check(run_options(parsed), parsed.packages)
        told = "1 lock is current" if len(names) == 1 else f"{len(names)} locks are current"
        options.emit(json.dumps({"current": names}) if parsed.json else told)
        return ExitCode.OK
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    update = None if parsed.update_all else parsed.update
    with cancellable() as cancel:
        found = lock(run_options(parsed), parsed.packages, update=update, events=events, cancel=cancel)
    if parsed.json:
        options.emit(json.dumps([dataclasses.asdict(change) for change in found], indent=2))
        return ExitCode.OK
    for change in found:
        options.emit(f"{change.path}: {'unchanged' if not change.difference else 'written'}")
        if change.difference:
            options.emit("\n".join(f"  {line}" for line in change.difference.splitlines()))
    return ExitCode.OK
