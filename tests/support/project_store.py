"""pkgtool on this very tree with the store that `make build` fills: what is there is not built again."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.command_line import PROJECT, CommandLine

_STORE = os.environ.get("PKGTOOL_STORE", "")  # before tests get an environment of their own
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def project() -> CommandLine:
    """The command line on the project's tree and store."""
    return CommandLine(PROJECT, Path(_STORE) if _STORE else _CACHE / "pkgtool" / "store")
