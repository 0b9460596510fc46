"""Steps outside of plans, told like those of plans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pkgtool.errors import PkgtoolError
from pkgtool.events import Sink, StepFinished, StepStarted


@contextmanager
def told(events: Sink, step: str, title: str) -> Iterator[Callable[[str], None]]:
    """Tell when a step begins and ends; what is given takes its outcome (see `StepFinished`), else it is `done`."""
    outcome = "done"

    def ended(how: str) -> None:
        nonlocal outcome
        outcome = how

    events(StepStarted(step, title))
    started = time.monotonic()
    try:
        yield ended
    except PkgtoolError as error:
        events(StepFinished(step, title, "failed", time.monotonic() - started, error=error))
        raise
    events(StepFinished(step, title, outcome, time.monotonic() - started))
