"""Say which file, argument or dependency moved a package's tag since a revision."""

from __future__ import annotations

import argparse
import dataclasses
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool why getty                    since the last commit: what is dirty
  pkgtool why getty --against HEAD~3
  pkgtool why sshd --against v1.0 --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", metavar="PKG", help="a package's name or directory")
    parser.add_argument("--against", default="HEAD", metavar="REV", help="the revision to compare with (default: HEAD)")
    options.add_tag_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.why import why

    found = why(run_options(parsed), parsed.package, parsed.against)
    if parsed.json:
        document = {
            "package": found.after.package,
            "before": str(found.before.reference),
            "after": str(found.after.reference),
            "changes": [dataclasses.asdict(change) for change in found.changes],
        }
        options.emit(json.dumps(document, indent=2))
        return ExitCode.OK
    lines = [f"{parsed.against}: {found.before.reference}", f"now: {found.after.reference}"]
    lines += [line for change in found.changes for line in change.lines("  ")] or ["  nothing changed"]
    options.emit("\n".join(lines))
    return ExitCode.OK
