"""The framed encoding of a record: no two different records have the same bytes.

Every value is written as a type letter, its length in decimal, a colon, and its content:

    text     s<bytes of UTF-8>:…
    list     l<number of items>:…      the items, one after the other
    mapping  m<number of pairs>:…      key and value in turn, keys in the order of their UTF-8 bytes

The digest is sha256 over the line `pkgtool fingerprint 1`, a newline, and the encoded record. The encoding and
the meaning of the record are frozen: a change of either is a new format number and so gives other tags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pkgtool.values import Digest

FORMAT = 1
_DOMAIN = f"pkgtool fingerprint {FORMAT}\n".encode()

Value: TypeAlias = "str | Sequence[Value] | Mapping[str, Value]"


def encode(value: Value) -> bytes:
    """The one byte representation of a value."""
    pieces: list[bytes] = []
    _append(value, pieces)
    return b"".join(pieces)


def digest(record: Value) -> Digest:
    """The digest of a record."""
    return Digest("sha256", hashlib.sha256(_DOMAIN + encode(record)).hexdigest())


def _append(value: Value, pieces: list[bytes]) -> None:
    if isinstance(value, str):
        content = value.encode("utf-8", "surrogateescape")
        pieces += (b"s%d:" % len(content), content)
    elif isinstance(value, dict | Mapping):
        pieces.append(b"m%d:" % len(value))
        for key in sorted(value, key=_utf8):
            _append(key, pieces)
            _append(value[key], pieces)
    else:
        pieces.append(b"l%d:" % len(value))
        for item in value:
            _append(item, pieces)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
