"""Lines for people out of BuildKit's progress records.

Docker's API passes them as protocol buffers (moby.buildkit.v1.StatusResponse in api/services/control/control.proto).
Only a few fields matter here, so they are picked out of the wire format directly.
"""

from __future__ import annotations

from collections.abc import Iterator

_VERTEX, _LOG = 1, 3
_DIGEST, _NAME, _CACHED, _COMPLETED, _ERROR = 1, 3, 4, 6, 7
_LOG_VERTEX, _LOG_MESSAGE = 1, 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class TraceReader:
    """Remembers which steps were announced, and gathers log fragments into lines."""

    def __init__(self) -> None:
        self._announced: set[bytes] = set()
        self._ended: set[bytes] = set()
        self._partial: dict[bytes, bytes] = {}

    def lines(self, record: bytes) -> Iterator[str]:
        """What a record adds. Raises `ValueError` if it is no such record."""
        for number, value in _fields(record):
            if number == _VERTEX and isinstance(value, bytes):
                yield from self._vertex(dict(_fields(value)))
            elif number == _LOG and isinstance(value, bytes):
                fields = dict(_fields(value))
                yield from self._log(_bytes(fields.get(_LOG_VERTEX)), _bytes(fields.get(_LOG_MESSAGE)))

    def rest(self) -> Iterator[str]:
        """Lines that never got their end."""
        for content in self._partial.values():
            if content:
                yield content.decode("utf-8", "replace")
        self._partial.clear()

    def _vertex(self, fields: dict[int, int | bytes]) -> Iterator[str]:
        digest = _bytes(fields.get(_DIGEST))
        name = _bytes(fields.get(_NAME)).decode("utf-8", "replace")
        if name.startswith("[internal]"):
            return
        if digest not in self._announced:
            self._announced.add(digest)
            yield f"=> {name}"
        if digest not in self._ended and (_COMPLETED in fields or fields.get(_CACHED)):
            self._ended.add(digest)
            if fields.get(_CACHED):
                yield f"=> {name} (cached)"
            if _ERROR in fields:
                yield f"=> {name} failed: {_bytes(fields[_ERROR]).decode('utf-8', 'replace')}"

    def _log(self, vertex: bytes, message: bytes) -> Iterator[str]:
        *complete, rest = (self._partial.get(vertex, b"") + message).split(b"\n")
        self._partial[vertex] = rest
        for line in complete:
            yield line.decode("utf-8", "replace").rstrip("\r")


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a protocol buffers message (protobuf.dev, encoding)."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
        elif kind in (_BYTES, _FIXED64, _FIXED32):
            length = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
            if length < 0:
                length, position = _varint(message, position)
            if position + length > len(message):
                raise ValueError("a field ends after its message")
            yield key >> 3, message[position : position + length]
            position += length
        else:
            raise ValueError(f"unknown wire type {kind}")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("a number has no end")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
