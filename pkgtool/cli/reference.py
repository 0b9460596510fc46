"""The reference of the command line, docs/cli.md, out of the code: `python -m pkgtool.cli.reference`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pkgtool.cli import main, options
from pkgtool.errors import EXIT_CODE_MEANINGS

FILE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
_COLUMNS = "100"


def text() -> str:
    """What docs/cli.md must be."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _COLUMNS
    try:
        sections = [_section(name, what) for name, what in main.COMMANDS.items()]
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    codes = "\n".join(f"| {int(code)} | {meaning} |" for code, meaning in EXIT_CODE_MEANINGS.items())
    return (
        "# Command line\n\n"
        "This page is written by `make generate`.\n\n"
        f"## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}\n\n" + "\n".join(sections)
    )


def _section(name: str, what: str) -> str:
    shown = options.make_parser(name, main.load(name)).format_help().rstrip()
    return f"## pkgtool {name}\n\n{what[0].upper()}{what[1:]}.\n\n```text\n{shown}\n```\n"


if __name__ == "__main__":
    FILE.write_text(text())
    sys.stderr.write(f"{FILE} written\n")
