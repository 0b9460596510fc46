"""Entries of a tar that somebody else wrote: layers from engines, root file systems, layers of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pkgtool.errors import BuildError
from pkgtool.oci.canonical import tar_format as tar
from pkgtool.oci.canonical.tar_headers import Member, TarError, TarReader
from pkgtool.oci.canonical.tree import Attributes, Entry, FileContent, KnownContent

_KINDS = {
    kind: kind
    for kind in (
        tar.REGULAR,
        tar.HARDLINK,
        tar.SYMLINK,
        tar.CHARACTER,
        tar.BLOCK_DEVICE,
        tar.DIRECTORY,
        tar.FIFO,
    )
}
# What overlay file systems and the host's security modules keep for themselves, and an image must not carry.
_HOST_XATTRS = ("trusted.", "user.overlay.", "security.selinux", "security.apparmor", "system.")
_XATTR_PREFIX = tar.XATTR_PREFIX.encode()
_BUFFER = 1 << 18


def read_entries(file: Path, *, offset: int = 0, size: int | None = None) -> list[tuple[str, Entry]]:
    """The entries of an uncompressed tar (or of the part of a file that is one), contents staying where they are.

    Raises `BuildError` if it is no tar, or holds sparse files, whose bytes are not in one piece.
    """
    result = []
    with file.open("rb", buffering=_BUFFER) as stream:
        stream.seek(offset)
        length = file.stat().st_size - offset if size is None else size
        if length == 0:
            raise BuildError(f"{file} is not a usable tar archive: it is empty")
        try:
            for member in TarReader(stream, size=length):
                place = FileContent(file, offset + member.offset, member.size)
                result.append((tar_path(member.name), _entry(member, place)))
        except TarError as problem:
            raise BuildError(f"{file} is not a usable tar archive: {problem}") from problem
    return result


def read_known(stream: IO[bytes]) -> Iterator[tuple[str, Entry]]:
    """The entries of an uncompressed tar stream, contents known by their digest alone. Raises `BuildError`."""
    reader = TarReader(stream)
    try:
        for member in reader:
            content = KnownContent(_sha256(reader)) if member.kind == tar.REGULAR else None
            yield tar_path(member.name), _entry(member, content)
    except TarError as problem:
        raise BuildError(f"a layer is not a usable tar archive: {problem}") from problem


def read_times(stream: IO[bytes]) -> Iterator[tuple[str, float]]:
    """When each entry of an uncompressed tar stream was changed, in seconds since 1970. Raises `BuildError`."""
    try:
        for member in TarReader(stream):
            yield tar_path(member.name), member.time
    except TarError as problem:
        raise BuildError(f"a layer is not a usable tar archive: {problem}") from problem


def tar_path(name: str) -> str:
    """A path without leading `./` or `/` and without trailing slash. Raises `BuildError` if it climbs out."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BuildError(f"the archive entry {name!r} leaves the archive")
    return "/".join(parts)


def _sha256(reader: TarReader) -> str:
    digest = hashlib.sha256()
    while chunk := reader.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _entry(member: Member, content: FileContent | KnownContent | None) -> Entry:
    kind = _KINDS.get(member.kind)
    if kind is None:
        raise BuildError(f"the archive entry {member.name!r} is of a kind that no image can hold")
    target, major, minor = "", 0, 0
    if kind == tar.SYMLINK:
        target = member.target
    elif kind == tar.HARDLINK:
        target = tar_path(member.target)
    elif kind in (tar.CHARACTER, tar.BLOCK_DEVICE):
        major, minor = member.major, member.minor
    attributes = Attributes(
        kind,
        0o777 if kind == tar.SYMLINK else member.mode & 0o7777,
        member.uid,
        member.gid,
        member.size,
        target,
        major,
        minor,
        _xattrs(member) if member.records else (),
    )
    return Entry(attributes, content if kind == tar.REGULAR else None)


def _xattrs(member: Member) -> tuple[tuple[str, bytes], ...]:
    found = []
    for key, value in member.records.items():
        if key.startswith(_XATTR_PREFIX):
            name = key[len(_XATTR_PREFIX) :].decode("utf-8", "surrogateescape")
            if not name.startswith(_HOST_XATTRS):
                found.append((name, value))
    return tuple(sorted(found))
