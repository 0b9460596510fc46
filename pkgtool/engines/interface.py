"""What every engine is to the rest of pkgtool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pkgtool.cancel import Cancellation
from pkgtool.errors import EngineError
from pkgtool.oci.documents import Descriptor
from pkgtool.values import ImageRef, Platform


class EngineLost(EngineError):
    """An engine can't be reached, or no more. Nothing is wrong with the build: another engine may do it."""


@dataclass(frozen=True, slots=True)
class Parent:
    """An image of the store that a Dockerfile may be FROM, and the reference by which its FROM will name it."""

    reference: ImageRef
    manifest: Descriptor


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One Dockerfile build for one platform. `context` is a directory that belongs to this build alone.

    `epoch` (seconds since 1970) is already in `build_args` as SOURCE_DATE_EPOCH. `tools` is the platform of the
    tools among the parents, where the build's programs run; None if there are none, and they run on `platform`.
    """

    title: str
    context: Path
    dockerfile: str
    platform: Platform
    build_args: Mapping[str, str] = field(default_factory=dict)
    parents: tuple[Parent, ...] = ()
    network: bool = False
    use_cache: bool = True
    epoch: int = 0
    tools: Platform | None = None

    @property
    def runs_on(self) -> Platform:
        """The platform whose programs the build runs."""
        return self.tools or self.platform


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself. `platform` is what it runs natively, `emulated` what else it can run.

    `node` is its name among several engines, or empty.
    """

    name: str
    version: str
    platform: Platform
    detail: str = ""
    emulated: tuple[Platform, ...] = ()
    node: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}" + (f" on {self.node}" if self.node else "")


LineSink = Callable[[str], None]


class Engine(Protocol):
    """Turns a build request into an archive with one image."""

    @property
    def info(self) -> EngineInfo: ...

    def build(self, request: BuildRequest, output: Path, *, log: LineSink, cancel: Cancellation) -> EngineInfo:
        """Build, and write the image to `output` as an uncompressed Docker archive; returns who did it.

        Every line that the build prints goes to `log`. Raises `BuildError` if a step fails, `EngineLost` if the
        engine went away, `EngineError` if it can't do it, `Interrupted` if `cancel` is requested; then nothing of the
        build is left in the engine.
        """
        ...

    def close(self) -> None:
        """Let go of connections and temporary names."""
        ...
