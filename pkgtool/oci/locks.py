"""Locks between processes: one file each, held with flock(2), so that the kernel frees them at any death."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pkgtool.cancel import Cancellation

_POLL_SECONDS = 0.1


@contextmanager
def held(
    path: Path,
    *,
    shared: bool = False,
    cancel: Cancellation | None = None,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; `on_wait` is called once if somebody else holds it.

    Raises `Interrupted` if `cancel` is requested while waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, cancel or Cancellation(), on_wait)
        yield
    finally:
        os.close(descriptor)


def try_hold(path: Path) -> int | None:
    """Take the lock without waiting: the open file descriptor that holds it, or None if somebody else does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def hold_shared(path: Path) -> int:
    """Take the lock together with others, waiting for whoever holds it alone; closing the descriptor frees it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _acquire(descriptor: int, kind: int, cancel: Cancellation, on_wait: Callable[[], None] | None) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told and on_wait:
                on_wait()
            told = True
            cancel.wait(_POLL_SECONDS)
            cancel.check()
        else:
            return
