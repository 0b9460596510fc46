"""Print how built packages were made: SLSA provenance, as it is signed."""

from __future__ import annotations

import argparse
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool provenance getty
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.statements import provenances

    found = provenances(run_options(parsed), parsed.packages)
    documents = [item.document for item in found]
    # One image gives its document as it is, so that it can be redirected into a file.
    options.emit(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    return ExitCode.OK
