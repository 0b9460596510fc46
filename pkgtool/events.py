"""What happens while a plan runs, told once; what a person, a log or a CI job sees are listeners.

An event is frozen and carries no formatting. Times are seconds. Sinks are called from several threads, one
event at a time (`EventBus` holds the lock), and must not raise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pkgtool.errors import PkgtoolError


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""


@dataclass(frozen=True, slots=True)
class PlanStarted(Event):
    """A plan begins: how many steps there are, and how many have nothing to do."""

    steps: int
    reused: int


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    step: str
    title: str


@dataclass(frozen=True, slots=True)
class StepWaiting(Event):
    """The step waits for another process that holds the same lock."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepLog(Event):
    """One line that a step's program printed."""

    step: str
    line: str


@dataclass(frozen=True, slots=True)
class StepProgress(Event):
    """How far a step is: `done` of `total` in `unit` (`bytes`, `files`, `modules`); a total of 0 is unknown."""

    step: str
    done: int
    total: int
    unit: str = "bytes"


@dataclass(frozen=True, slots=True)
class StepActivity(Event):
    """What a long step is doing and about how far it is, in words."""

    step: str
    text: str


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    """The end of a step. `outcome` is one of built, reused, done, failed, blocked, cancelled."""

    step: str
    title: str
    outcome: str
    seconds: float
    detail: str = ""
    error: PkgtoolError | None = None


@dataclass(frozen=True, slots=True)
class Note(Event):
    """Something worth telling that is not an error: level is info, warning or debug."""

    level: str
    message: str


Sink = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The sink for callers that don't listen."""


class EventBus:
    """Hands each event to every sink, one at a time."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            for sink in self._sinks:
                sink(event)
