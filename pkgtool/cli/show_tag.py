"""Print the full reference of packages; with --json, the fingerprint behind each."""

from __future__ import annotations

import argparse
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool show-tag pkg/getty
  pkgtool show-tag --json getty
  pkgtool show-tag --hash-commit v1.0 getty
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    parser.add_argument("--hash-commit", default="HEAD", metavar="REV", help="hash the files of another commit")
    options.add_tag_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.tree import open_tree

    tree = open_tree(run_options(parsed), parsed.packages)
    found = [tree.fingerprints[name] for name in tree.names]
    if not parsed.json:
        options.emit("\n".join(str(fingerprint.reference) for fingerprint in found))
        return ExitCode.OK
    documents = [
        {
            "package": fingerprint.package,
            "reference": str(fingerprint.reference),
            "kind": fingerprint.kind,
            "dirty": fingerprint.dirty,
            "hash": fingerprint.content_hash,
            "digest": str(fingerprint.digest),
            "record": fingerprint.record,
        }
        for fingerprint in found
    ]
    options.emit(json.dumps(documents, indent=2))
    return ExitCode.OK
