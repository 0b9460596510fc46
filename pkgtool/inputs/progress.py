"""Adds up what several threads receive, and tells it at most ten times a second."""

from __future__ import annotations

import threading
import time

from pkgtool.events import Sink, StepProgress

_INTERVAL_SECONDS = 0.1


class Progress:
    """Bytes done of `total` for one step; each key is a part that may also go back (a transfer that restarts)."""

    def __init__(self, step: str, total: int, events: Sink) -> None:
        self._step = step
        self._total = total
        self._events = events
        self._lock = threading.Lock()
        self._parts: dict[str, int] = {}
        self._told = 0.0

    def update(self, part: str, done: int) -> None:
        with self._lock:
            self._parts[part] = done
            now = time.monotonic()
            if now - self._told < _INTERVAL_SECONDS:
                return
            self._told = now
            event = StepProgress(self._step, sum(self._parts.values()), self._total)
        self._events(event)

    def finish(self) -> None:
        with self._lock:
            event = StepProgress(self._step, sum(self._parts.values()), self._total)
        self._events(event)
