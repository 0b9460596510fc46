#!/usr/bin/env python3
"""Write one small file for each configuration symbol: what generated/autoconf.h says of it.

    symbols.py --tree TREE --output DIRECTORY

The names are those that the tree's Kconfig files define. `.others` holds what autoconf.h says of any other, so that
nothing it says is lost, and the digest of the names, since it means something only beside the same ones; `.once` is
never the same twice. symbols.c puts these files in the place of autoconf.h where a compiler read it.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

AUTOCONF = "include/generated/autoconf.h"
OTHERS, ONCE = ".others", ".once"
_DEFINITION = re.compile(rb"^\s*(?:menu)?config\s+(\w+)", re.MULTILINE)
_DEFINE = re.compile(r"#define\s+CONFIG_(\w+)")
_MODULE = "_MODULE"


def defined(tree: Path) -> set[str]:
    """The symbols of all Kconfig files of a tree, whatever the platform."""
    names: set[str] = set()
    for path in tree.rglob("Kconfig*"):
        if path.is_file():
            names.update(name.decode("ascii", "replace") for name in _DEFINITION.findall(path.read_bytes()))
    return names


def views(autoconf: str, names: Iterable[str]) -> dict[str, str]:
    """The content of each file by its name. Raises `ValueError` for a line that is no definition of a symbol."""
    known = set(names)
    found = dict.fromkeys(sorted(known), "")
    others = [hashlib.sha256("\n".join(found).encode()).hexdigest()]
    for line in autoconf.splitlines():
        match = _DEFINE.match(line)
        if match is None:
            if line.startswith("#") or not _is_comment(line):
                raise ValueError(f"{line!r} defines no symbol")
            continue
        base = match[1].removesuffix(_MODULE)
        owners = [name for name in dict.fromkeys((match[1], base)) if name in known]
        for owner in owners:
            found[owner] += f"{line}\n"
        if not owners:
            others.append(line)
    return {**found, OTHERS: "\n".join([*others, ""]), ONCE: f"{uuid.uuid4()}\n"}


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(("/*", "*"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True, help="a configured kernel tree")
    parser.add_argument("--output", type=Path, required=True, metavar="DIRECTORY", help="made by this")
    options = parser.parse_args()
    files = views((options.tree / AUTOCONF).read_text(), defined(options.tree))
    # Under another name first: symbols.c takes the directory as complete once it is there.
    making = options.output.with_name(f"{options.output.name}.new")
    making.mkdir(parents=True)
    for name, content in files.items():
        (making / name).write_text(content)
    making.rename(options.output)
    print(f"{len(files)} symbols", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
