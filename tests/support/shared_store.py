"""The store that `make build` fills, and the tree's own packages in it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.command_line import PROJECT, CommandLine
from tests.support.store_images import StoredImage, stored


def _place() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("PKGTOOL_STORE") or Path(cache) / "pkgtool" / "store")


_STORE = _place()  # before tests get an environment of their own


def shared() -> CommandLine:
    """The command line on this very tree and the store that it is built into."""
    return CommandLine(PROJECT, _STORE)


def image_of(pkgtool: CommandLine, package: str, arch: str) -> StoredImage:
    """What the store has under the package's current tag for one architecture."""
    reference = pkgtool("show-tag", package).ok().out.strip()
    return stored(pkgtool.store, f"{reference}-{arch}")
