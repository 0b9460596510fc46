"""One way to ask running work to end: a token that is passed down and checked, or that calls back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pkgtool.errors import Interrupted


class Cancellation:
    """A flag that many threads share; setting it is final and calls every registered callback once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        """Ask everything to end. Callbacks run in the caller's thread and must not block."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raise `Interrupted` if the end was asked for."""
        if self._event.is_set():
            raise Interrupted()

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`; true as soon as the end is asked for."""
        return self._event.wait(seconds)

    @contextmanager
    def on_request(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` if the end is asked for while the block runs (at once if it already was)."""
        with self._lock:
            already = self._event.is_set()
            key = self._next = self._next + 1
            if not already:
                self._callbacks[key] = callback
        if already:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.pop(key, None)
