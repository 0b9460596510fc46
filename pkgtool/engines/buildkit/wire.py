"""Protocol buffers in their wire format, without generated code (protobuf.dev, programming-guides/encoding).

A message is written as pairs of a field's number and its value, and read by field number: what is not asked for is
skipped, so newer peers do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Value = int | bytes | str | Mapping[str, str] | Sequence[bytes] | Sequence[str]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_LENGTH = {_FIXED64: 8, _FIXED32: 4}


def message(*fields: tuple[int, Value]) -> bytes:
    """A message. A list is a repeated field, a mapping a map of strings; zero and empty values are left out."""
    return b"".join(part for number, value in fields for part in _field(number, value))


def _field(number: int, value: Value) -> Iterator[bytes]:
    if not value:
        return
    if isinstance(value, int):
        yield _varint_bytes(number << 3 | _VARINT) + _varint_bytes(value)
    elif isinstance(value, bytes | str):
        yield _delimited(number, value)
    elif isinstance(value, Mapping):
        for name, text in value.items():
            yield _delimited(number, message((1, name), (2, text)))
    else:
        for item in value:
            yield _delimited(number, item)


def _delimited(number: int, value: bytes | str) -> bytes:
    content = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return _varint_bytes(number << 3 | _BYTES) + _varint_bytes(len(content)) + content


def _varint_bytes(value: int) -> bytes:
    if value < 0:
        raise ValueError(f"{value} is negative")
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


class Message:
    """A message that was received. An absent field reads as zero or empty, as protocol buffers want it.

    Raises `ValueError` on construction for bytes that are no message.
    """

    def __init__(self, content: bytes) -> None:
        self._values: dict[int, list[int | bytes]] = {}
        for number, value in fields(content):
            self._values.setdefault(number, []).append(value)

    def has(self, number: int) -> bool:
        return number in self._values

    def integer(self, number: int) -> int:
        value = self._values.get(number, [0])[-1]
        return value if isinstance(value, int) else 0

    def content(self, number: int) -> bytes:
        value = self._values.get(number, [b""])[-1]
        return value if isinstance(value, bytes) else b""

    def text(self, number: int) -> str:
        return self.content(number).decode("utf-8", "replace")

    def repeated(self, number: int) -> list[bytes]:
        return [value for value in self._values.get(number, ()) if isinstance(value, bytes)]

    def messages(self, number: int) -> list[Message]:
        return [Message(value) for value in self.repeated(number)]

    def inner(self, number: int) -> Message:
        """A field that is a message itself."""
        return Message(self.content(number))

    def mapping(self, number: int) -> dict[str, str]:
        return {entry.text(1): entry.text(2) for entry in self.messages(number)}


def fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values in the order of the message. Raises `ValueError` if it is malformed."""
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(content, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, position = _varint(content, position)
        elif kind in _FIXED_LENGTH:
            length = _FIXED_LENGTH[kind]
        else:
            raise ValueError(f"unknown wire type {kind}")
        if position + length > len(content):
            raise ValueError("a field ends after its message")
        yield key >> 3, content[position : position + length]
        position += length


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(content) or shift > 63:
            raise ValueError("a number has no end")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
