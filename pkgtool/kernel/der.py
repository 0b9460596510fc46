"""The little of ASN.1's distinguished encoding (X.690) that module signatures need."""

from __future__ import annotations

INTEGER, OCTET_STRING, NULL, OBJECT, SEQUENCE, SET = 0x02, 0x04, 0x05, 0x06, 0x30, 0x31
CONTEXT_0 = 0xA0


def encode(tag: int, *content: bytes) -> bytes:
    """One value: tag, length, content."""
    body = b"".join(content)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


class Reader:
    """Reads values one after the other. Raises `ValueError` for anything that is not whole and well-formed."""

    def __init__(self, content: bytes | memoryview) -> None:
        self._rest = memoryview(content)

    def __bool__(self) -> bool:
        return bool(self._rest)

    def peek(self) -> int:
        """The next tag, or 0 at the end."""
        return self._rest[0] if self._rest else 0

    def raw(self, tag: int) -> bytes:
        """The next value with its tag and length."""
        start, length = self._header(tag)
        value, self._rest = self._rest[: start + length], self._rest[start + length :]
        return bytes(value)

    def content(self, tag: int) -> bytes:
        """The next value without its tag and length."""
        start, length = self._header(tag)
        value, self._rest = self._rest[start : start + length], self._rest[start + length :]
        return bytes(value)

    def inside(self, tag: int) -> Reader:
        """A reader of the next value's content."""
        return Reader(self.content(tag))

    def end(self) -> None:
        """Raise `ValueError` if anything is left."""
        if self._rest:
            raise ValueError(f"{len(self._rest)} bytes too many")

    def _header(self, tag: int) -> tuple[int, int]:
        rest = self._rest
        if len(rest) < 2:
            raise ValueError("cut off")
        if rest[0] != tag:
            raise ValueError(f"tag {rest[0]:#04x} where {tag:#04x} belongs")
        start, length = 2, rest[1]
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or len(rest) < 2 + count:
                raise ValueError("an impossible length")
            start, length = 2 + count, int.from_bytes(rest[2 : 2 + count], "big")
        if len(rest) < start + length:
            raise ValueError("cut off")
        return start, length
