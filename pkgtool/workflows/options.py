"""What every use case is told from outside: frozen, already parsed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.config.package import DEFAULT_BUILD_FILE, Overrides
from pkgtool.fingerprint import TagOverrides
from pkgtool.model import KernelSettings
from pkgtool.nodes import Node, builder_text
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

    def command(self, name: str, root: Path, *, asked: bool) -> str:
        """A command line of the shell with those of these options that decide where and how something is built.

        Some count for the packages that were asked for, and not for what those depend on: `asked` says which it is.
        `root` is that of the tree.
        """
        words = ["pkgtool", name, *self._places(), *self._settings(), *(self._hashing(root) if asked else ())]
        return shlex.join(words)

    def _places(self) -> Iterator[str]:
        yield from ("-C", str(self.directory)) if self.directory != Path() else ()
        yield from ("--store", str(self.store)) if self.store is not None else ()
        yield from ("--engine", self.engine) if self.engine != "auto" else ()
        for node in self.builders:
            yield from ("--builder", builder_text(node))
        for option, repositories in (("--cache-from", self.cache_from), ("--cache-to", self.cache_to)):
            for repository in repositories:
                yield from (option, repository)
        yield from ("--registry", self.registry) if self.registry else ()
        yield from () if self.pull else ("--no-pull",)
        yield from ("--registry-optional",) if self.registry_optional else ()

    def _settings(self) -> Iterator[str]:
        given = self.overrides
        yield from ("--org", given.org) if given.org is not None else ()
        yield from ("--build-yml", given.build_file) if given.build_file != DEFAULT_BUILD_FILE else ()
        yield from ("--tag", given.tag) if given.tag is not None else ()
        if given.network is not None:
            yield "--network" if given.network else "--nonetwork"
        for argument in given.build_args:
            yield from ("--build-arg", f"{argument.name}={argument.value}")

    def _hashing(self, root: Path) -> Iterator[str]:
        yield from ("--hash", self.tag.content_hash) if self.tag.content_hash else ()
        if self.tag.hash_path is not None:
            yield from ("--hash-path", str(root / self.tag.hash_path))
        yield from ("--force-dirty",) if self.tag.force_dirty else ()
