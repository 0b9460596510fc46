"""gzip whose bytes follow from the content alone: not from the processor, the number of threads or their luck.

Most fast compressors look for repetitions by hashes that differ between processors, so a machine with arm64 and one
with x86-64 write other bytes for one layer, under one tag. libdeflate's output is the same on all of them; it may
change between its versions, so the version is fixed (pyproject.toml), and with it go the rules of the image format.

A layer is a row of gzip members (RFC 1952, section 2.2: readers take them for one file), each of a quarter of a
mebibyte of the tar. They don't depend on each other, so every processor takes part.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

MEMBER = 1 << 18
"""Bytes of the content in each member but the last. More hardly saves a byte, and is slower."""
LEVEL = 1
"""libdeflate's: its fastest."""
_MOST_THREADS = 8
"""More only wait for what feeds them."""


class GzipMembers:
    """A stream that compresses pieces in several threads and writes them in order.

    Memory is bounded: `put` waits while two pieces a thread are on their way. Errors of `write` are raised by `put`
    or at the end of the block; if the block fails, nothing more is written.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        self._threads = ThreadPoolExecutor(threads, "gzip")
        self._waiting: deque[Future[bytes]] = deque()
        self._most = 2 * threads

    def put(self, piece: bytes) -> None:
        """Compress the next piece: a multiple of `MEMBER` bytes, unless it is the last one."""
        while len(self._waiting) >= self._most:
            self._write_next()
        self._waiting.append(self._threads.submit(_members, piece))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            while self._waiting and kind is None:
                self._write_next()
        finally:
            self._threads.shutdown(cancel_futures=True)

    def _write_next(self) -> None:
        self._write(self._waiting.popleft().result())


def _members(piece: bytes) -> bytes:
    from deflate import gzip_compress

    whole = memoryview(piece)
    return b"".join(gzip_compress(whole[start : start + MEMBER], LEVEL) for start in range(0, len(piece), MEMBER))
