"""What every use case is told from outside: frozen, already parsed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pkgtool.config.package import Overrides
from pkgtool.fingerprint import TagOverrides
from pkgtool.values import Platform


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options that all commands share. `jobs` is how many steps run at a time."""

    directory: Path = Path()
    platforms: tuple[Platform, ...] = ()
    engine: str = "auto"
    jobs: int = 0
    keep_going: bool = False
    store: Path | None = None
    overrides: Overrides = field(default_factory=Overrides)
    tag: TagOverrides = field(default_factory=TagOverrides)
    revision: str = "HEAD"

    @property
    def job_count(self) -> int:
        return self.jobs or os.cpu_count() or 1
