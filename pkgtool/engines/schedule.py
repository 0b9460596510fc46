"""Which node takes a build: the rules alone, without clock, threads or connections.

A build goes to a node that runs its programs natively; as long as one of those lives, the build waits for it, since
emulation costs more than waiting. Only then to a node that emulates. Platforms that no node is for are left to the
reserve, this machine's own engine. Among equals the one with most room takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from pkgtool.engines.interface import EngineInfo
from pkgtool.nodes import Node
from pkgtool.values import Platform


class State(Enum):
    """What is known of a node."""

    UNTRIED = "not tried yet"
    TRYING = "being tried"
    READY = "ready"
    AWAY = "away"
    """Lost or unreachable: it is tried again after a while."""
    UNUSABLE = "unusable"
    """It refused us, or we it: trying again would not help."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a lost node is left alone, in seconds: twice as long each time; and how often before it is given up.

    A node that was given up is still tried, but nobody waits for it any more.
    """

    first: float = 1.0
    longest: float = 60.0
    attempts: int = 3

    def pause(self, failures: int) -> float:
        return min(self.longest, self.first * 2.0 ** (failures - 1))


@dataclass(slots=True)
class Seat:
    """A node and how it is doing. `failures` counts since its last good build; `retry_at` is on the pool's clock."""

    node: Node
    reserve: bool = False
    state: State = State.UNTRIED
    info: EngineInfo | None = None
    running: int = 0
    failures: int = 0
    retry_at: float = 0.0
    reason: str = ""
    """Why it is away or unusable."""
    hint: str | None = None

    def is_for(self, platform: Platform) -> bool:
        """Whether it may build for a platform; of a node that never answered, nothing is excluded."""
        if self.node.platforms:
            return platform in self.node.platforms
        return self.reserve or self.info is None or platform in (self.info.platform, *self.info.emulated)

    def is_native(self, platform: Platform) -> bool:
        return self.info is not None and self.info.platform == platform

    @property
    def room(self) -> float:
        """The part of it that is free."""
        return 1.0 - self.running / self.node.jobs

    @property
    def pending(self) -> bool:
        return self.state in (State.UNTRIED, State.TRYING)


def candidates(seats: Sequence[Seat], platform: Platform) -> list[Seat]:
    """The nodes that a build for a platform could go to, in whatever state they are."""
    listed = [seat for seat in seats if not seat.reserve and seat.is_for(platform)]
    return listed or [seat for seat in seats if seat.reserve]


def due(seats: Sequence[Seat], platform: Platform, now: float) -> Iterator[Seat]:
    """The candidates that should be tried now."""
    for seat in candidates(seats, platform):
        if seat.state is State.UNTRIED or (seat.state is State.AWAY and seat.retry_at <= now):
            yield seat


def pick(seats: Sequence[Seat], platform: Platform) -> Seat | None:
    """The node that takes a build at this moment, or None: wait, unless it is `hopeless`."""
    possible = candidates(seats, platform)
    ready = [seat for seat in possible if seat.state is State.READY]
    native = [seat for seat in ready if seat.is_native(platform)]
    if not native and any(seat.pending for seat in possible):
        return None  # one that is still being tried may be native
    free = [seat for seat in native or ready if seat.running < seat.node.jobs]
    return max(free, key=lambda seat: seat.room, default=None)


def hopeless(seats: Sequence[Seat], platform: Platform, patience: Patience) -> bool:
    """Whether no node will come: all are unusable, or have been away for too long."""
    return all(
        seat.state is State.UNUSABLE or (seat.state is State.AWAY and seat.failures >= patience.attempts)
        for seat in candidates(seats, platform)
    )
