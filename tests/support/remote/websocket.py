"""The server's side of a WebSocket (RFC 6455), as far as `kubectl exec` uses it: binary messages. Without I/O."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _BINARY, _CLOSE, _PING, _PONG = 0, 2, 8, 9, 10
CLOSING = bytes([0x80 | _CLOSE, 2]) + struct.pack("!H", 1000)
"""The frame that ends a connection in order."""


def accept_key(key: str) -> str:
    """The answer to a client's `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode()).digest()).decode()


def message(content: bytes) -> bytes:
    """The frame that carries a message."""
    return _frame(_BINARY, content)


class Reader:
    """Takes a client's bytes as they come, and gives its messages. `answers` is what must be sent back."""

    def __init__(self) -> None:
        self.closed = False
        self.answers = b""
        self._buffer = bytearray()
        self._parts: list[bytes] = []

    def feed(self, content: bytes) -> Iterator[bytes]:
        self._buffer += content
        while (frame := self._next()) is not None:
            final, opcode, payload = frame
            if opcode == _CLOSE:
                self.closed = True
            elif opcode == _PING:
                self.answers += _frame(_PONG, payload)
            elif opcode in (_BINARY, _CONTINUATION):
                self._parts.append(payload)
                if final:
                    yield b"".join(self._parts)
                    self._parts = []

    def _next(self) -> tuple[bool, int, bytes] | None:
        if len(self._buffer) < 2:
            return None
        length, start = self._buffer[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(self._buffer) < 2 + size:
                return None
            length, start = int.from_bytes(self._buffer[2 : 2 + size], "big"), 2 + size
        end = start + 4 + length
        if len(self._buffer) < end:
            return None
        head, mask = self._buffer[0], bytes(self._buffer[start : start + 4])
        payload = _unmask(bytes(self._buffer[start + 4 : end]), mask)
        del self._buffer[:end]
        return bool(head & 0x80), head & 0x0F, payload


def _unmask(content: bytes, mask: bytes) -> bytes:
    """XOR as one large number: a byte at a time would be the slowest part of a build."""
    repeated = (mask * (len(content) // 4 + 1))[: len(content)]
    return (int.from_bytes(content, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(content), "big")


def _frame(opcode: int, content: bytes) -> bytes:
    length = len(content)
    if length < 126:
        size = struct.pack("!B", length)
    elif length < 1 << 16:
        size = struct.pack("!BH", 126, length)
    else:
        size = struct.pack("!BQ", 127, length)
    return bytes([0x80 | opcode]) + size + content
