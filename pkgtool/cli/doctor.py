"""Say what is installed, which engine would be used and why, what is missing and the command that brings it."""

from __future__ import annotations

import argparse
import dataclasses
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool doctor                                     this machine, and the builders of pkgtool.yml
  pkgtool doctor --engine docker                     as if that engine were asked for
  pkgtool doctor --builder linux/arm64=ssh://arm-1   whether a builder can be used
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_builder_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.doctor import examine

    findings = list(examine(run_options(parsed)))
    if parsed.json:
        options.emit(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            options.emit(f"{finding.state:8}  {finding.subject}: {finding.detail}")
            if finding.remedy:
                options.emit(f"          → {finding.remedy}")
    missing = any(finding.state == "missing" for finding in findings)
    return ExitCode.CHECK_FAILED if missing else ExitCode.OK
