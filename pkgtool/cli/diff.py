"""Compare two images: packages with their versions, configuration, files with mode, owner, size and content.

A and B are each a package (its current tag), PKG@REVISION (its tag at a commit, branch or tag of git), PKG:TAG, or a
reference [HOST/]REPOSITORY[:TAG][@DIGEST]. The store is looked into first, then the registry.
Exit code 0: the same digests; 1: they differ; any other: they could not be compared.
"""

from __future__ import annotations

import argparse
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool diff getty@HEAD~1 getty            what the last commit changed in the image
  pkgtool diff --platform linux/arm64 base:OLDTAG base
  pkgtool diff registry.example/linuxkit/sshd:v1 registry.example/linuxkit/sshd:v2 --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", help="the image to compare from")
    parser.add_argument("after", metavar="B", help="the image to compare with")
    options.add_registry_options(parser, pulling=False)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import diff_report
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.diff import diff

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        found = diff(run_options(parsed), parsed.before, parsed.after, events=events, cancel=cancel)
    options.emit(json.dumps(diff_report.document(found), indent=2) if parsed.json else diff_report.text(found))
    return ExitCode.OK if found.same else ExitCode.CHECK_FAILED
