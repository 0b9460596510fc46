"""One computation for each key, whoever asks first; others who ask meanwhile wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def _always(_value: object) -> bool:
    return True


class Once(Generic[K, V]):
    """Values by key, each made once. Threads that ask for different keys don't wait for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[K, V] = {}
        self._making: dict[K, threading.Lock] = {}

    def get(self, key: K, make: Callable[[], V], *, keep: Callable[[V], bool] = _always) -> V:
        """The value that is remembered for the key, else the one that `make` gives now.

        It is remembered if `keep` says so; one that is not is made again at the next call. What `make` raises passes
        through, and nothing is remembered.
        """
        with self._lock:
            if key in self._values:
                return self._values[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            value = make()
            if keep(value):
                with self._lock:
                    self._values[key] = value
            return value

    def forget(self, key: K) -> None:
        """Make the value anew when it is asked for next."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making, self._lock:  # what is being made now may be from before, and must not stay either
            self._values.pop(key, None)
