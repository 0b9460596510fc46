"""Print the JSON schema of build.yml or pkgtool.yml, for editors."""

from __future__ import annotations

import argparse

from pkgtool.cli import options
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool schema build > build.schema.json
  # and as the first line of a build.yml, for editors with the YAML language server:
  # yaml-language-server: $schema=../../build.schema.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", choices=("build", "tree"), help="build: build.yml; tree: pkgtool.yml")


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.config.json_schema import shipped

    options.emit(shipped(parsed.file).read_text())
    return ExitCode.OK
