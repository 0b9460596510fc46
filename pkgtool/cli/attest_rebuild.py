"""Rebuild what is published and, only if every byte is the same, attach a signed statement that says so."""

from __future__ import annotations

import argparse
import json

from pkgtool.cli import options, signing
from pkgtool.errors import CheckFailed, ExitCode

EXAMPLES = """\
examples:
  pkgtool attest-rebuild --key mine.key --registry registry.example.com/team getty
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    parser.add_argument("--rebuilder", default="", metavar="URI", help="who or where, as the statement names it")
    signing.add_signing_options(parser)
    options.add_registry_options(parser, pulling=False)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import reproduce_report
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.attest_rebuild import attest_rebuild
    from pkgtool.workflows.failures import failure

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        report = attest_rebuild(
            run_options(parsed),
            signing.signing_options(parsed),
            parsed.packages,
            rebuilder=parsed.rebuilder,
            events=events,
            cancel=cancel,
        )
        if report.failed:
            raise failure(report.failed, interrupted=cancel.requested)
    found = report.comparisons
    if parsed.json:
        document = {"attested": report.attested, "comparisons": reproduce_report.documents(found)}
        options.emit(json.dumps(document, indent=2))
    else:
        options.emit(reproduce_report.text(found))
    different = [comparison for comparison in found if not comparison.same]
    if not different:
        return ExitCode.OK
    raise CheckFailed(
        f"{len(different)} of {len(found)} images came out differently; nothing was said about those packages",
        details=[line for comparison in different for line in reproduce_report.difference_lines(comparison)],
        hint=f"diffoscope {different[0].extracted}/original {different[0].extracted}/rebuilt",
    )
