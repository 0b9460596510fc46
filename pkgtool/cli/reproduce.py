"""Rebuild packages without any cache, elsewhere, with another engine and umask, and compare the digests.

A published reference ([HOST/]REPOSITORY:TAG or …@DIGEST) is rebuilt from the commit that its provenance names: in this
tree's repository, or in the one that --source names. What differs is named file by file, and both versions are laid
out for diffoscope. Exit code 0: every digest is the same; 1: one is not; any other: it could not be rebuilt.
"""

from __future__ import annotations

import argparse
import json

from pkgtool.cli import options
from pkgtool.errors import CheckFailed, ExitCode, UsageError

EXAMPLES = """\
examples:
  pkgtool reproduce getty                    with an engine that did not make it, if there is one
  pkgtool reproduce --engine buildah
  pkgtool reproduce registry.example/linuxkit/getty:TAG --source https://git.example/tree.git
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "packages", nargs="*", metavar="PKG|REFERENCE", help="packages or published references (default: all packages)"
    )
    parser.add_argument(
        "--source", default="", metavar="URL|DIR", help="the repository to rebuild published references from"
    )
    options.add_registry_options(parser, pulling=False)
    options.add_builder_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import reproduce_report, summary
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.failures import failure
    from pkgtool.workflows.reproduce import reproduce
    from pkgtool.workflows.reproduce_published import reproduce_published

    references = options.references(parsed.packages)
    if parsed.source and not references:
        raise UsageError("--source is for published references", hint="pkgtool reproduce --source URL REFERENCE")
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        chosen = run_options(parsed)
        if references:
            report = reproduce_published(chosen, references, source=parsed.source, events=events, cancel=cancel)
        else:
            report = reproduce(chosen, parsed.packages, events=events, cancel=cancel)
        if report.failed:
            raise failure(report.failed, interrupted=cancel.requested)
    found = report.comparisons
    rows = [
        (c.package, str(c.platform), "same" if c.same else "**different**", f"`{c.rebuilt.manifest.digest}`")
        for c in found
    ]
    summary.add(summary.of_rows("Rebuilt", ("package", "platform", "bytes", "digest"), rows))
    options.emit(
        json.dumps(reproduce_report.documents(found), indent=2) if parsed.json else reproduce_report.text(found)
    )
    different = [comparison for comparison in found if not comparison.same]
    if not different:
        return ExitCode.OK
    raise CheckFailed(
        f"{len(different)} of {len(found)} images came out differently",
        details=[line for comparison in different for line in reproduce_report.difference_lines(comparison)],
        hint=f"diffoscope {different[0].extracted}/original {different[0].extracted}/rebuilt",
    )
