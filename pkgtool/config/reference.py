"""The reference of build.yml and pkgtool.yml, docs/keys.md, out of the schema: `python -m pkgtool.config.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from pkgtool.config import typed
from pkgtool.config.schema import BuildFile, TreeFile
from pkgtool.config.typed import Key, Kind

FILE = Path(__file__).resolve().parents[2] / "docs" / "keys.md"
_FILES = {"build.yml": BuildFile, "pkgtool.yml": TreeFile}


def text() -> str:
    """What docs/keys.md must be."""
    lines = ["# Keys of build.yml and pkgtool.yml", "", "This page is written by `make generate`."]
    for name, schema in _FILES.items():
        lines += ["", f"## {name}", "", "| key | value | meaning |", "|---|---|---|"]
        lines += [_row(path, key) for path, key in _walk(typed.fields_of(typed.struct(schema)).keys, "")]
    return "\n".join(lines) + "\n"


def _walk(keys: Mapping[str, tuple[str, Key]], prefix: str) -> Iterator[tuple[str, Key]]:
    for name, (_, key) in keys.items():
        path = f"{prefix}{name}"
        yield path, key
        inner = key.kind.item if key.kind.item and key.kind.item.fields else key.kind
        if inner.fields is not None:
            yield from _walk(inner.fields().keys, f"{path}[]." if inner is not key.kind else f"{path}.")


def _row(path: str, key: Key) -> str:
    kind = _kind(key.kind) + (", required" if key.required else "")
    meaning = key.doc.replace("|", "\\|")
    return f"| `{path}` | {kind} | {meaning} |"


def _kind(kind: Kind) -> str:
    if kind.item is not None:
        inner = _kind(kind.item)
        return f"list of {inner}" if kind.schema["type"] == "array" else f"mapping to {inner}"
    return kind.name.removeprefix("a ")


if __name__ == "__main__":
    FILE.write_text(text())
    sys.stderr.write(f"{FILE} written\n")
