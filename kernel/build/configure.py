#!/usr/bin/env python3
"""Configure a kernel tree from fragments and refuse a result that is not what was asked for.

The kernel's own `make olddefconfig` decides; afterwards every symbol of the fragments is compared with the final
.config, and each difference is printed with the dependency behind it. Exit status: 0 as asked, 1 a difference,
2 a mistake in the fragments or the call. Needs nothing but Python's library; with kconfiglib it can explain.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import explain
import fragments

_DEFINITION = re.compile(r"^\s*(?:menu)?config\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Difference:
    """A symbol that came out otherwise than asked."""

    symbol: str
    asked: str
    got: str
    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: CONFIG_{self.symbol}={self.asked} became {self.got}: {self.reason}"


def olddefconfig(tree: Path, wishes: Mapping[str, fragments.Wish], variables: Mapping[str, str]) -> None:
    """Write the wishes as .config and let the kernel complete it."""
    (tree / ".config").write_text(fragments.to_config(wishes))
    command = ["make", "-s", *(f"{name}={value}" for name, value in variables.items()), "olddefconfig"]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    subprocess.run(command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)


def compare(wishes: Mapping[str, fragments.Wish], config: Mapping[str, str]) -> list[tuple[fragments.Wish, str]]:
    """The wishes that were not granted, each with what came out."""
    return [(wish, got) for wish in wishes.values() if (got := config.get(wish.name, "n")) != wish.value]


def unknown(tree: Path, wishes: Mapping[str, fragments.Wish]) -> list[fragments.Wish]:
    """Wishes for "not set" whose symbol no Kconfig file defines: nothing else would notice a misspelt one."""
    off = {wish.name for wish in wishes.values() if wish.value == "n"}
    for path in tree.rglob("Kconfig*"):
        if off and path.is_file():
            off.difference_update(_DEFINITION.findall(path.read_text(errors="replace")))
    return [wishes[name] for name in wishes if name in off]


def explained(tree: Path, lost: list[tuple[fragments.Wish, str]], variables: Mapping[str, str]) -> list[Difference]:
    """The same with reasons."""
    if not lost:
        return []
    try:
        explainer = explain.explainer(tree, variables)
    except explain.Unavailable as problem:
        reason = str(problem)
        return [Difference(w.name, w.value, got, w.file, w.line, reason) for w, got in lost]
    return [Difference(w.name, w.value, got, w.file, w.line, explainer.why(w.name, w.value)) for w, got in lost]


def main() -> int:
    options = _options()
    try:
        wishes = fragments.load(options.fragments, options.names, options.release, options.platform)
    except (fragments.FragmentError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    if options.merge_only:
        print(json.dumps([asdict(wish) for wish in wishes.values()]) if options.json else fragments.to_config(wishes))
        return 0
    variables = dict(pair.split("=", 1) for pair in options.make)
    try:
        olddefconfig(options.tree, wishes, variables)
    except subprocess.CalledProcessError as problem:
        print(f"error: make olddefconfig ended with status {problem.returncode}", file=sys.stderr)
        return 2
    config = fragments.parse_config((options.tree / ".config").read_text())
    lost = compare(wishes, config) + [(wish, "unknown") for wish in unknown(options.tree, wishes)]
    differences = explained(options.tree, lost, variables)
    if options.json:
        print(json.dumps({"asked": len(wishes), "differences": [asdict(d) for d in differences]}))
    else:
        for difference in differences:
            print(f"error: {difference}", file=sys.stderr)
        print(f"configured: {len(wishes)} symbols asked for, {len(differences)} not granted", file=sys.stderr)
    return 1 if differences else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, default=Path(), help="the unpacked kernel (default: here)")
    parser.add_argument("--fragments", type=Path, required=True, metavar="DIR", help="where NAME.config lies")
    parser.add_argument("--release", required=True, help="decides about `since` and `until`, such as 6.1.192")
    parser.add_argument("--platform", required=True, metavar="ARCH", help="amd64 or arm64")
    parser.add_argument("--make", action="append", default=[], metavar="VAR=VALUE", help="given to make; ARCH at least")
    parser.add_argument("--merge-only", action="store_true", help="print the merged fragments; needs no tree")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument("names", nargs="+", metavar="FRAGMENT", help="fragments in order, a later one wins")
    options = parser.parse_args()
    if not options.merge_only and not any(pair.startswith("ARCH=") for pair in options.make):
        parser.error("--make ARCH=… is required")
    return options


if __name__ == "__main__":
    sys.exit(main())
