"""The bytes of a canonical tar: POSIX ustar headers, pax records only where ustar can't say it (POSIX.1-2001).

Written here and not by `tarfile`, because a layer's identity is the digest of these bytes: they must not change
with the version of Python.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import adler32

BLOCK = 512
END = b"\0" * (2 * BLOCK)

REGULAR = b"0"
HARDLINK = b"1"
SYMLINK = b"2"
CHARACTER = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"
_PAX = b"x"

_MAX_OCTAL_7 = 0o7777777
_MAX_SIZE = 0o77777777777
XATTR_PREFIX = "SCHILY.xattr."
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s64x8s8s167x")
"""name, mode, uid, gid, size, mtime, checksum, kind, target, magic and version, (owner names), major, minor."""


@dataclass(frozen=True, slots=True)
class Header:
    """One entry: `path` without leading or trailing slash, `mode` the permission bits, `mtime` in seconds."""

    path: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: str = ""
    major: int = 0
    minor: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def padding(size: int) -> bytes:
    """What follows the content of a file of `size` bytes up to the next block."""
    return b"\0" * (-size % BLOCK)


def encode(header: Header) -> bytes:
    """The header blocks of an entry."""
    name = header.path.encode("utf-8", "surrogateescape") + (b"/" if header.kind == DIRECTORY else b"")
    target = header.target.encode("utf-8", "surrogateescape")
    records: dict[bytes, bytes] = {}
    if len(name) > 100 or not name.isascii():
        records[b"path"] = name
    if len(target) > 100 or not target.isascii():
        records[b"linkpath"] = target
    if header.size > _MAX_SIZE:
        records[b"size"] = b"%d" % header.size
    for key, number in ((b"uid", header.uid), (b"gid", header.gid)):
        if number > _MAX_OCTAL_7:
            records[key] = b"%d" % number
    for attribute, value in header.xattrs.items():
        records[(XATTR_PREFIX + attribute).encode("utf-8", "surrogateescape")] = value
    blocks = b""
    if records:
        content = b"".join(_record(key, records[key]) for key in sorted(records))
        blocks = _ustar(b"././@PaxHeader", _PAX, Header("", _PAX, 0, 0, 0, len(content), 0), b"")
        blocks += content + padding(len(content))
    return blocks + _ustar(_plain(name), header.kind, header, _plain(target))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts itself."""
    length = rest = len(key) + len(value) + 3
    while length != rest + len(str(length)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _plain(name: bytes) -> bytes:
    """What stands in the ustar field when the real name is in a pax record."""
    short = name[:100]
    return short if short.isascii() else bytes(c if c < 128 else ord("?") for c in short)


def _ustar(name: bytes, kind: bytes, header: Header, target: bytes) -> bytes:
    device = kind in (CHARACTER, BLOCK_DEVICE)
    block = _HEADER.pack(
        name,
        b"%07o" % (header.mode & 0o7777),
        b"%07o" % (header.uid if header.uid <= _MAX_OCTAL_7 else 0),
        b"%07o" % (header.gid if header.gid <= _MAX_OCTAL_7 else 0),
        b"%011o" % (header.size if header.size <= _MAX_SIZE else 0),
        b"%011o" % header.mtime,
        b" " * 8,
        kind,
        target,
        b"ustar\x0000",
        b"%07o" % (header.major if device else 0),
        b"%07o" % (header.minor if device else 0),
    )
    return block[:148] + b"%06o\0 " % byte_sum(block) + block[156:]


def byte_sum(block: bytes) -> int:
    """The sum of the bytes of a header block, as its checksum wants it.

    The lower half of Adler-32 is the sum of the bytes modulo 65521 (RFC 1950), more than 256 bytes can add up to;
    `sum` takes ten times as long.
    """
    return (adler32(block[:256], 0) & 0xFFFF) + (adler32(block[256:], 0) & 0xFFFF)
