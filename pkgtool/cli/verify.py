"""Verify images by a policy: who signed them, what is attested, and what that says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pkgtool.cli import options, signing
from pkgtool.errors import ExitCode, VerificationError

EXAMPLES = """\
examples:
  pkgtool verify                                      the whole tree's current tags, by policy.yml
  pkgtool verify --release v1.2.json                  a release, as its file says
  pkgtool verify --policy policy.yml registry.example.com/team/getty:v1.2
  pkgtool verify --release v1.2.json --archive v1.2.tar    without any network
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="*", metavar="PKG|REF", help="packages or references (default: all)")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy (default: policy.yml of the tree)")
    parser.add_argument("--release", type=Path, metavar="FILE", help="verify what a release file names")
    parser.add_argument("--archive", type=Path, metavar="PATH", help="look in what 'pkgtool export' wrote")
    parser.add_argument("--summary", action="store_true", help="attach a signed verification summary to each image")
    signing.add_signing_options(parser)
    options.add_registry_options(parser, pulling=False)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import summary
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.verify import VerifyOptions, verify

    chosen = VerifyOptions(
        parsed.policy,
        parsed.release,
        parsed.archive,
        signing.signing_options(parsed) if parsed.summary else None,
        parsed.jobs or 8,
    )
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        found = verify(run_options(parsed), chosen, parsed.packages, events=events, cancel=cancel)
    decisions = [*([found.release] if found.release else []), *found.decisions]
    rows = [(d.name, "accepted" if d.accepted else "**refused**", f"`{d.digest}`") for d in decisions]
    said = f"By `{found.policy.file}` (`{found.policy.digest}`)."
    summary.add(summary.of_rows("Verified", ("image", "decision", "digest"), rows, said=said))
    if parsed.json:
        document = {"policy": found.policy.file, "policyDigest": str(found.policy.digest), "accepted": found.accepted}
        options.emit(json.dumps({**document, "decisions": [d.document() for d in decisions]}, indent=2))
    else:
        for decision in decisions:
            level = f", SLSA Build L{decision.level}" if decision.accepted and decision.level else ""
            options.emit(f"{'accepted' if decision.accepted else 'REFUSED '}  {decision.name}{level}")
    if found.accepted:
        return ExitCode.OK
    refused = [decision for decision in decisions if not decision.accepted]
    details = [line for d in refused for line in (d.name, *(f"  {text}" for text in d.lines()))]
    raise VerificationError(f"{len(refused)} of {len(decisions)} refused by {found.policy.file}", details=details)
