"""The one place that unpacks layers. Whatever wrote them, their first bytes say how they are compressed.

Media types are no help: engines' archives have none, and runtimes go by the bytes too. gzip is RFC 1952, with any
number of members; zstd is RFC 8878, with any number of frames, of which the first may be one to be skipped.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import ModuleType
from typing import IO, cast

from pkgtool.errors import PkgtoolError, StoreError

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED = tuple(bytes((0x50 + number, 0x2A, 0x4D, 0x18)) for number in range(16))


def is_compressed(start: bytes) -> bool:
    """Whether content that begins so (four bytes are enough) is not a plain tar."""
    return _opener(start) is not None


def uncompressed(stream: io.BufferedReader, *, what: str, error: type[PkgtoolError] = StoreError) -> IO[bytes]:
    """A layer's tar out of a stream that stands at its beginning. Closing the result closes the stream.

    Reading raises `error` naming `what` where the content is damaged or ends too early.
    """
    opener = _opener(stream.peek(4)[:4])
    return stream if opener is None else cast("IO[bytes]", _Uncompressed(stream, opener(stream), what, error))


def _opener(start: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    if start.startswith(_GZIP):
        return _gunzip
    if start.startswith((_ZSTD, *_ZSTD_SKIPPED)):
        return _unzstd
    return None


def _gunzip(stream: IO[bytes]) -> IO[bytes]:
    from isal import igzip

    return cast("IO[bytes]", igzip.GzipFile(fileobj=stream))  # type: ignore[no-untyped-call]


def _unzstd(stream: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", _zstd().ZstdFile(stream))


def _zstd() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


class _Uncompressed(io.BufferedIOBase):
    """Turns what the libraries raise into one error; the classes of both are plain exceptions."""

    def __init__(self, source: IO[bytes], unpacked: IO[bytes], what: str, error: type[PkgtoolError]) -> None:
        self._source, self._unpacked = source, unpacked
        self._what, self._error = what, error

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._unpacked.read(-1 if size is None else size)
        except _failures() as problem:
            raise self._error(f"{self._what} can't be unpacked: {problem}") from problem

    def close(self) -> None:
        self._unpacked.close()
        self._source.close()
        super().close()


def _failures() -> tuple[type[Exception], ...]:
    from isal import isal_zlib

    return cast("tuple[type[Exception], ...]", (OSError, EOFError, isal_zlib.error, _zstd().ZstdError))
