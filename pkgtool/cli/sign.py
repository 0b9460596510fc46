"""Sign what is published: packages of the tree with what is known of them, or any image by reference."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from pkgtool.cli import options, signing
from pkgtool.errors import ExitCode, UsageError
from pkgtool.values import ImageRef

if TYPE_CHECKING:
    from pkgtool.workflows.failures import failure
    from pkgtool.workflows.sign import SignedImage

EXAMPLES = """\
examples:
  pkgtool sign --key release.key                         the whole tree
  pkgtool sign --keyless getty                           as the identity of this CI job
  pkgtool sign --key pkcs11:token=release;object=key registry.example.com/team/getty:v1.2
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="*", metavar="PKG|REF", help="packages or references (default: all)")
    signing.add_signing_options(parser)
    options.add_registry_options(parser, pulling=False)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import push_report
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.sign import sign_packages, sign_references

    references = [found for found in map(_reference, parsed.packages) if found]
    if references and len(references) != len(parsed.packages):
        raise UsageError("name either packages or references")
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    chosen = signing.signing_options(parsed)
    with cancellable() as cancel:
        if references:
            done = sign_references(run_options(parsed), chosen, references, events=events, cancel=cancel)
            options.emit(json.dumps([_document(d) for d in done], indent=2) if parsed.json else _lines(done))
            return ExitCode.OK
        report = sign_packages(run_options(parsed), chosen, parsed.packages, events=events, cancel=cancel)
    options.emit(push_report.as_json(report) if parsed.json else push_report.as_table(report))
    if report.results.good:
        return ExitCode.OK
    raise failure(report, interrupted=cancel.requested)


def _document(done: SignedImage) -> dict[str, object]:
    return {
        "reference": done.reference,
        "digest": str(done.digest),
        "signatures": done.signatures,
        "new": done.new,
    }


def _lines(done: list[SignedImage]) -> str:
    return "\n".join(f"{d.reference} ({d.digest}): {d.new} new of {d.signatures} signatures" for d in done)


def _reference(text: str) -> ImageRef | None:
    """A full reference, if it is one and no package."""
    try:
        found = ImageRef.parse(text)
    except ValueError:
        return None
    return found if found.host and (found.tag or found.digest) else None
