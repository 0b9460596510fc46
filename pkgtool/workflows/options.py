"""What every use case is told from outside: frozen, already parsed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.config.package import Overrides
from pkgtool.fingerprint import TagOverrides
from pkgtool.model import KernelSettings
from pkgtool.nodes import Node
from pkgtool.values import Platform

if TYPE_CHECKING:
    from pkgtool.kernel.seal import Signatures


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """What a command line says about signing kernels, instead of pkgtool.yml; paths are absolute, or a key's URI."""

    settings: KernelSettings = field(default_factory=KernelSettings)
    password_file: Path | None = None
    signatures: Signatures | None = None
    """Published signatures to put on, instead of making new ones."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options that all commands share. `jobs` is how many steps run at a time; 0: as many as there is room for."""

    directory: Path = Path()
    platforms: tuple[Platform, ...] = ()
    engine: str = "auto"
    jobs: int = 0
    keep_going: bool = False
    store: Path | None = None
    registry: str = ""
    """Where to push and pull, instead of pkgtool.yml's registry."""
    pull: bool = True
    """Whether what the registry has under a tag is taken instead of built."""
    registry_optional: bool = False
    """Whether a registry that can't answer is a warning when something could be pulled."""
    builders: tuple[Node, ...] = ()
    """Builders instead of pkgtool.yml's."""
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    """Repositories that keep the build cache of BuildKit nodes."""
    overrides: Overrides = field(default_factory=Overrides)
    tag: TagOverrides = field(default_factory=TagOverrides)
    revision: str = "HEAD"
    kernels: KernelOptions = field(default_factory=KernelOptions)

    def command(self, name: str) -> str:
        """A command line of the shell with those of these options that decide where and how something is built."""
        words = ["pkgtool", name]
        if self.directory != Path():
            words += ["-C", str(self.directory)]
        if self.store is not None:
            words += ["--store", str(self.store)]
        if self.engine != "auto":
            words += ["--engine", self.engine]
        if self.overrides.org is not None:
            words += ["--org", self.overrides.org]
        if self.overrides.network:
            words += ["--network"]
        for argument in self.overrides.build_args:
            words += ["--build-arg", f"{argument.name}={argument.value}"]
        return shlex.join(words)
