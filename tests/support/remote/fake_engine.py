"""An engine without builds: it takes its time, fails on command, and can be lost and found."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.engines.interface import BuildRequest, EngineInfo, EngineLost, LineSink
from pkgtool.engines.pool import Member
from pkgtool.errors import BuildError, EngineError, Interrupted
from pkgtool.nodes import Endpoint, Node
from pkgtool.values import Platform

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


@dataclass(eq=False)
class FakeMachine:
    """A machine that engines connect to. `up` says whether it answers; `pull_the_plug` breaks what runs."""

    name: str
    platform: Platform = AMD64
    emulated: tuple[Platform, ...] = ()
    seconds: float = 0.0
    up: bool = True
    refusal: str = ""
    built: list[str] = field(default_factory=list)
    connects: int = 0
    at_once: int = 0
    most_at_once: int = 0
    open: int = 0
    failing: tuple[str, ...] = ()
    _plug: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self) -> FakeEngine:
        self.connects += 1
        if self.refusal:
            raise EngineError(self.refusal, hint="mend it")
        if not self.up:
            raise EngineLost("nobody answers")
        self.open += 1
        return FakeEngine(self)

    def pull_the_plug(self) -> None:
        """Break the connections and stay away."""
        self.up = False
        self._plug.set()

    def come_back(self) -> None:
        self._plug = threading.Event()
        self.up = True

    def work(self, request: BuildRequest, cancel: Cancellation) -> None:
        plug = self._plug
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            with cancel.on_request(plug.set):
                broken = plug.wait(self.seconds)
        finally:
            with self._lock:
                self.at_once -= 1
        if cancel.requested:
            raise Interrupted()
        if broken or not self.up:
            raise EngineLost("connection reset")
        if request.title in self.failing:
            raise BuildError("exit code: 1")
        with self._lock:
            self.built.append(request.title)

    def member(self, *platforms: Platform, jobs: int = 1, reserve: bool = False) -> Member:
        """It as a member of a pool."""
        return Member(Node(self.name, Endpoint("unix", path="/fake"), platforms, jobs=jobs), self.connect, reserve)


class FakeEngine:
    """A connection to a machine."""

    def __init__(self, machine: FakeMachine) -> None:
        self._machine = machine
        self.info = EngineInfo("fake", "1", machine.platform, emulated=machine.emulated, node=machine.name)

    def build(self, request: BuildRequest, output: Path, *, log: LineSink, cancel: Cancellation) -> EngineInfo:
        log(f"building {request.title}")
        self._machine.work(request, cancel)
        output.write_text(request.title)
        return self.info

    def close(self) -> None:
        self._machine.open -= 1


def request(title: str = "a package", platform: Platform = AMD64, tools: Platform | None = None) -> BuildRequest:
    return BuildRequest(title, Path("/context"), "Dockerfile", platform, tools=tools)


def requests(count: int, platform: Platform = AMD64) -> Sequence[BuildRequest]:
    return [request(f"package {number}", platform) for number in range(count)]
