"""Print the software bill of materials of built packages, in SPDX 2.3 or CycloneDX 1.6."""

from __future__ import annotations

import argparse
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool sbom sshd
  pkgtool sbom --format cyclonedx --platform linux/arm64 sshd
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    parser.add_argument("--format", choices=("spdx", "cyclonedx"), default="spdx", help="which standard")


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.statements import sboms

    found = sboms(run_options(parsed), parsed.packages, form=parsed.format)
    documents = [item.document for item in found]
    # One image gives its document as it is, so that it can be redirected into a file.
    options.emit(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    return ExitCode.OK
