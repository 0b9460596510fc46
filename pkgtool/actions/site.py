"""Where the steps of one run happen: the tree, its fingerprints, the store, and what is made only when needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pkgtool.events import Sink
from pkgtool.fingerprint import Fingerprint
from pkgtool.model import Package, Workspace
from pkgtool.oci.store import Store
from pkgtool.source.state import SourceState
from pkgtool.values import Platform

if TYPE_CHECKING:
    from pkgtool.actions.sealing import Sealing
    from pkgtool.engines.interface import Engine


@dataclass(slots=True)
class Site:
    """All that actions share. `engine` connects on first use: a run without a build needs none."""

    workspace: Workspace
    fingerprints: Mapping[str, Fingerprint]
    sources: SourceState
    store: Store
    build_platform: Platform
    connect: Callable[[], Engine]
    events: Sink
    rebuild: frozenset[str] = frozenset()
    sealing: Mapping[str, Sealing] = field(default_factory=dict)
    """How each signed kernel that this run makes gets its signatures."""
    repeat: Callable[[str], str] = lambda _: "pkgtool build"
    """A command that builds with the same options, for a package, which it does not name itself."""
    _engine: Engine | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def engine(self) -> Engine:
        """The engine. Raises `EngineError` if there is none."""
        with self._guard:
            if self._engine is None:
                self._engine = self.connect()
            return self._engine

    def package(self, name: str) -> Package:
        return self.workspace.packages[name]

    def close(self) -> None:
        """Let go of the engine, if one was used."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
