"""Runs the benchmarks, all of them or those that are named: `python -m benchmarks [--list] [NAME…]`."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path

_PLACE = Path(__file__).parent


def main() -> int:
    """Run one after the other, since they must not disturb each other; answers 1 if a limit does not hold."""
    known = modules()
    options = _options(list(known))
    if options.list:
        for name, title in known.items():
            print(f"{name:14} {title}")
        return 0
    failed = []
    for name in options.names or known:
        print(f"\n== {name}: {known[name]}\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=_PLACE.parent).returncode:
            failed.append(name)
    if failed:
        print(f"\nnot within the limits: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def modules() -> dict[str, str]:
    """The benchmarks by name, each with what it measures; nothing is imported."""
    files = sorted(file for file in _PLACE.glob("*.py") if not file.name.startswith("_"))
    titles = {file.stem: ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "" for file in files}
    return {name: text.splitlines()[0] if text else "" for name, text in titles.items()}


def _options(known: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Print the benchmarks.")
    parser.add_argument("--list", action="store_true", help="name them, and run nothing")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(known)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
