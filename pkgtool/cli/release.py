"""Point a release tag of every package at its published index, and write the release file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.cli import options, signing
from pkgtool.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pkgtool.workflows.release_record import Recording

EXAMPLES = """\
examples:
  pkgtool release v1.2                       from the clean working tree
  pkgtool release v1.2 --git-tag v1.2        from a git tag, whatever is checked out
  pkgtool release v1.2 --sign --key release.key    with a signed release file and in-toto links
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the release tag")
    options.add_packages(parser)
    parser.add_argument("--git-tag", default="", metavar="TAG", help="release the commit of this git tag")
    options.add_replace(parser)
    parser.add_argument("--file", type=Path, metavar="FILE", help="where the release file goes (default: NAME.json)")
    parser.add_argument("--sign", action="store_true", help="sign the release file, and record the steps (in-toto)")
    parser.add_argument("--in-toto", type=Path, metavar="DIR", help="where the links go (default: NAME.in-toto)")
    parser.add_argument(
        "--functionary", action="append", default=[], metavar="STEP=FILE", help="whose public key may do a step"
    )
    signing.add_signing_options(parser)
    options.add_registry_options(parser, pulling=False)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import summary
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
            replace=tuple(parsed.replace),
            file=file,
            signing=signing.signing_options(parsed) if parsed.sign else None,
            recording=_recording(parsed, file) if parsed.sign else None,
            events=events,
            cancel=cancel,
        )
    packages = report.release.packages
    published = [(summary.escape(p.name), f"`{p.tag}`", f"`{p.index.digest}`", size(p.size)) for p in packages]
    summary.add(summary.of_rows(f"Release {parsed.name}", ("package", "tag", "index", "size"), published))
    if parsed.json:
        options.emit(report.release.encode().decode())
        return ExitCode.OK
    rows = [(p.name, p.tag, str(p.index.digest), size(p.size)) for p in packages]
    options.emit("\n".join(table(("PACKAGE", "TAG", "INDEX", "SIZE"), rows)))
    options.emit(f"{parsed.name}: {report.set_tags} tags set, {len(rows) - report.set_tags} were right; {report.file}")
    for record in report.records:
        options.emit(f"signed: {record}")
    return ExitCode.OK


def _recording(parsed: argparse.Namespace, file: Path) -> Recording:
    from pkgtool.signing.intoto.steps import Step
    from pkgtool.workflows.release_record import Recording

    allowed: dict[Step, tuple[Path, ...]] = {}
    for entry in parsed.functionary:
        name, equals, path = entry.partition("=")
        if not equals or name not in tuple(Step):
            raise UsageError(f"{entry!r} is not of the form STEP=FILE", hint=f"steps: {', '.join(Step)}")
        allowed[Step(name)] = (*allowed.get(Step(name), ()), Path(path))
    directory = parsed.in_toto or file.with_name(f"{parsed.name}.in-toto")
    return Recording(directory, allowed, demanded=bool(parsed.in_toto or allowed))
