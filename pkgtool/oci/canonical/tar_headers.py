"""Parsing tar as others write it: ustar, GNU's long names and large numbers, pax records (POSIX.1-2001, tar(5)).

Python's `tarfile` reads the same formats, but takes three to five times as long for each entry, which with layers of
many small files is what a build waits for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from pkgtool.oci.canonical.tar_format import BLOCK, BLOCK_DEVICE, CHARACTER, DIRECTORY, REGULAR, byte_sum

_USTAR = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_POSIX_MAGIC = b"ustar\0"
_OLD_REGULAR, _CONTIGUOUS = b"\0", b"7"
_GNU_LONG_NAME, _GNU_LONG_LINK, _GNU_SPARSE = b"L", b"K", b"S"
_PAX, _PAX_OLD, _PAX_GLOBAL = b"x", b"X", b"g"
_SKIP = 1 << 20
_LONGEST_RECORDS = 1 << 24
"""More than 16 MB of names and attributes for one entry is no honest archive."""

Records = dict[bytes, bytes]


class TarError(ValueError):
    """The bytes are no usable tar."""


@dataclass(slots=True)
class Member:
    """One entry as it stands in the archive; `size` is that of the content that follows at `offset`."""

    name: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    target: str
    major: int
    minor: int
    records: Mapping[bytes, bytes]
    offset: int = 0
    time_field: bytes = b""

    @property
    def time(self) -> float:
        """When it was changed, in seconds since 1970. Raises `TarError` if the archive says nonsense."""
        written = self.records.get(b"mtime")
        if written is None:
            return float(_number(self.time_field)) if self.time_field else 0.0
        try:
            return float(written)
        except ValueError:
            raise TarError(f"{written!r} is no time") from None


class TarReader:
    """The members of an uncompressed tar in order. After each one, `read` gives its content, as much as is wanted.

    The stream has to be at the archive's first byte; `size` is the archive's, if it is known. Where the stream can
    seek, contents that nobody reads are passed over. Raises `TarError`.
    """

    def __init__(self, stream: IO[bytes], *, size: int | None = None) -> None:
        self._stream = stream
        self._seekable = stream.seekable()
        self._size = size
        self._position = 0
        self._content_end = 0
        self._globals: Records = {}

    def __iter__(self) -> Iterator[Member]:
        while True:
            self._skip_to(_padded(self._content_end))
            member = self._next()
            if member is None:
                return
            member.offset = self._position
            self._content_end = self._position + member.size
            if self._size is not None and self._content_end > self._size:
                raise TarError(f"it ends inside {member.name!r}")
            yield member

    def read(self, size: int) -> bytes:
        """At most `size` bytes of the current member's content; nothing at its end."""
        wanted = min(size, self._content_end - self._position)
        return self._read(wanted) if wanted > 0 else b""

    # -- members ----------------------------------------------------------------------------------------

    def _next(self) -> Member | None:
        """The next member without its place, with what extended headers before it say."""
        records: Records = {}
        while True:
            block = self._block()
            if block is None:
                return None
            member = _parse(block)
            if member.kind in (_PAX, _PAX_OLD):
                records.update(_pax_records(self._extension(member)))
            elif member.kind == _PAX_GLOBAL:
                self._globals.update(_pax_records(self._extension(member)))
            elif member.kind == _GNU_LONG_NAME:
                records[b"path"] = _until_zero(self._extension(member))
            elif member.kind == _GNU_LONG_LINK:
                records[b"linkpath"] = _until_zero(self._extension(member))
            else:
                if records or self._globals:
                    _apply(member, {**self._globals, **records})
                return _settled(member)

    def _block(self) -> bytes | None:
        """A header block; None at the end, be it marked or not."""
        if self._size is not None and self._position >= self._size:
            return None
        block = self._stream.read(BLOCK)
        self._position += len(block)
        if not block or block.count(0) == BLOCK:
            return None
        if len(block) < BLOCK:
            raise TarError("it ends inside a header")
        return block

    def _extension(self, member: Member) -> bytes:
        if member.size > _LONGEST_RECORDS:
            raise TarError("an extended header is too long")
        content = self._read(member.size)
        self._skip_to(_padded(self._position))
        return content

    # -- bytes ------------------------------------------------------------------------------------------

    def _read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._position += len(content)
        if len(content) < size:
            raise TarError("it ends too early")
        return content

    def _skip_to(self, position: int) -> None:
        if self._seekable and position > self._position:
            self._stream.seek(position - self._position, 1)
            self._position = position
        while self._position < position:
            self._read(min(_SKIP, position - self._position))


def _parse(block: bytes) -> Member:
    name, mode, uid, gid, size, time, checksum, kind, target, magic, _, _, _, major, minor, prefix = _USTAR.unpack(
        block
    )
    if not _sums_up(block, _number(checksum)):
        raise TarError("a header's checksum is wrong")
    path = _until_zero(name)
    if magic == _POSIX_MAGIC and prefix[0]:
        path = _until_zero(prefix) + b"/" + path
    device = kind in (CHARACTER, BLOCK_DEVICE)
    return Member(
        path.decode("utf-8", "surrogateescape"),
        kind,
        _number(mode),
        _number(uid),
        _number(gid),
        _number(size),
        _until_zero(target).decode("utf-8", "surrogateescape"),
        _number(major) if device else 0,
        _number(minor) if device else 0,
        {},
        time_field=time,
    )


def _sums_up(block: bytes, wanted: int) -> bool:
    """The checksum is that of the block with spaces in its place; some old programs added signed bytes."""
    rest = block[:148] + block[156:]
    total = byte_sum(rest) + 8 * 32
    return total == wanted or total - 256 * sum(byte > 127 for byte in rest) == wanted


def _settled(member: Member) -> Member:
    """With the kinds that only old archives have replaced, and no size where no content follows."""
    if member.kind == _GNU_SPARSE or any(key.startswith(b"GNU.sparse.") for key in member.records):
        raise TarError(f"{member.name!r} is a sparse file, whose bytes are not in one piece")
    if member.kind == _OLD_REGULAR:
        member.kind = DIRECTORY if member.name.endswith("/") else REGULAR
    elif member.kind == _CONTIGUOUS:
        member.kind = REGULAR
    if member.kind != REGULAR:
        member.size = 0
    return member


def _apply(member: Member, records: Records) -> None:
    member.records = records
    for key, value in records.items():
        if key == b"path":
            member.name = value.decode("utf-8", "surrogateescape")
        elif key == b"linkpath":
            member.target = value.decode("utf-8", "surrogateescape")
        elif key in (b"size", b"uid", b"gid"):
            if not value.isdigit():
                raise TarError(f"{value!r} is no {key.decode()}")
            setattr(member, key.decode(), int(value))


def _pax_records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts itself; values may hold any bytes."""
    position = 0
    while position < len(content) and content[position]:
        digits = content[position : position + 20].partition(b" ")[0]
        if not digits.isdigit():
            raise TarError("a pax record has no length")
        end = position + int(digits)
        key, equals, value = content[position + len(digits) + 1 : end].partition(b"=")
        if not equals or end > len(content) or not value.endswith(b"\n"):
            raise TarError("a pax record is damaged")
        yield key, value[:-1]
        position = end


def _number(field: bytes) -> int:
    """Octal digits, or, as GNU writes large ones, a big-endian number after a first byte of 0x80."""
    if field[0] & 0x80:
        if field[0] != 0x80:
            raise TarError("a number is negative")
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.rstrip(b"\0 ") or b"0", 8)
    except ValueError:
        # Whatever follows the first zero byte does not count.
        digits = _until_zero(field).strip()
        if digits and digits.strip(b"01234567"):
            raise TarError("a number has other digits than octal ones") from None
        return int(digits or b"0", 8)


def _until_zero(field: bytes) -> bytes:
    end = field.find(0)
    return field if end < 0 else field[:end]


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
