"""List the packages of the tree."""

from __future__ import annotations

import argparse
import json

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool list                     every package, what it is built for, and on what it stands
  pkgtool list getty sshd          two of them
  pkgtool list --json | jq -r '.[] | select(.hermetic | not).name'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.report.text import table
    from pkgtool.workflows.tree import open_packages

    workspace, names = open_packages(run_options(parsed), parsed.packages)
    packages = [workspace.packages[name] for name in names]
    if parsed.json:
        documents = [
            {
                "name": package.name,
                "repository": package.repository,
                "path": package.path or ".",
                "platforms": [str(platform) for platform in package.platforms],
                "hermetic": not package.network,
                "dependencies": [{"name": d.name, "role": d.role.value} for d in package.dependencies],
            }
            for package in packages
        ]
        options.emit(json.dumps(documents, indent=2))
        return ExitCode.OK
    rows = [
        (
            package.name,
            package.path or ".",
            ",".join(str(platform).removeprefix("linux/") for platform in package.platforms) or "none",
            "no" if package.network else "yes",
            " ".join(d.name for d in package.dependencies),
        )
        for package in packages
    ]
    options.emit("\n".join(table(("PACKAGE", "PATH", "PLATFORMS", "HERMETIC", "DEPENDS ON"), rows)))
    return ExitCode.OK
