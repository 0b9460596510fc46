"""A module proxy as files (go.dev/ref/mod, "GOPROXY protocol"), complete enough that the go command asks no other."""

from __future__ import annotations

import json
from pathlib import Path

from pkgtool.inputs.go_sum import escaped
from pkgtool.inputs.lock import GoLock, GoModule


def module_path(module: GoModule, kind: str) -> str:
    """Where a proxy has a module's `mod`, `zip` or `info`."""
    return f"{escaped(module.module)}/@v/{escaped(module.version)}.{kind}"


def write_proxy(directory: Path, lock: GoLock) -> None:
    """Write what is determined by the names alone: `list` and the `.info` files, which no checksum covers."""
    versions: dict[str, list[str]] = {}
    for module in lock.modules:
        place = directory / module_path(module, "info")
        place.write_text(json.dumps({"Version": module.version}) + "\n", encoding="utf-8")
        if module.zip:
            versions.setdefault(module.module, []).append(module.version)
    for name, found in versions.items():
        listing = "".join(f"{version}\n" for version in sorted(found))
        (directory / escaped(name) / "@v" / "list").write_text(listing, encoding="utf-8")
