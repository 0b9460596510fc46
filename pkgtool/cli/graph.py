"""Print the dependency graph as text, dot, mermaid or JSON."""

from __future__ import annotations

import argparse

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool graph
  pkgtool graph --format dot | dot -Tsvg > graph.svg
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    parser.add_argument(
        "--format", choices=("text", "dot", "mermaid", "json"), default="text", help="how it is written"
    )


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.report import graph_report
    from pkgtool.workflows.tree import open_packages

    workspace, names = open_packages(run_options(parsed), parsed.packages)
    kind = "json" if parsed.json else parsed.format
    options.emit(graph_report.FORMATS[kind](workspace.packages, names))
    return ExitCode.OK
