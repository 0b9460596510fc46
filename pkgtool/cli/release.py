"""Point a release tag of every package at its published index, and write the release file."""

from __future__ import annotations

import argparse
from pathlib import Path

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool release v1.2                       from the clean working tree
  pkgtool release v1.2 --git-tag v1.2        from a git tag, whatever is checked out
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the release tag")
    options.add_packages(parser)
    parser.add_argument("--git-tag", default="", metavar="TAG", help="release the commit of this git tag")
    parser.add_argument("--file", type=Path, metavar="FILE", help="where the release file goes (default: NAME.json)")
    options.add_registry_options(parser, pulling=False)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report.progress import sink_for
    from pkgtool.report.text import size, table
    from pkgtool.workflows.release import release

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    file = parsed.file or Path(f"{parsed.name}.json")
    with cancellable() as cancel:
        report = release(
            run_options(parsed),
            parsed.name,
            parsed.packages,
            git_tag=parsed.git_tag,
            file=file,
            events=events,
            cancel=cancel,
        )
    if parsed.json:
        options.emit(report.release.encode().decode())
        return ExitCode.OK
    rows = [(p.name, p.tag, str(p.index.digest), size(p.size)) for p in report.release.packages]
    options.emit("\n".join(table(("PACKAGE", "TAG", "INDEX", "SIZE"), rows)))
    options.emit(f"{parsed.name}: {report.set_tags} tags set, {len(rows) - report.set_tags} were right; {report.file}")
    return ExitCode.OK
