"""Entries of a tar that somebody else wrote: layers from engines, root file systems, layers of the store."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from pkgtool.errors import BuildError
from pkgtool.oci.canonical import tar_format as tar
from pkgtool.oci.canonical.tree import Attributes, Entry, FileContent, KnownContent

_KINDS = {
    tarfile.REGTYPE: tar.REGULAR,
    tarfile.AREGTYPE: tar.REGULAR,
    tarfile.CONTTYPE: tar.REGULAR,
    tarfile.GNUTYPE_SPARSE: tar.REGULAR,
    tarfile.LNKTYPE: tar.HARDLINK,
    tarfile.SYMTYPE: tar.SYMLINK,
    tarfile.CHRTYPE: tar.CHARACTER,
    tarfile.BLKTYPE: tar.BLOCK_DEVICE,
    tarfile.DIRTYPE: tar.DIRECTORY,
    tarfile.FIFOTYPE: tar.FIFO,
}
# What overlay file systems and the host's security modules keep for themselves, and an image must not carry.
_HOST_XATTRS = ("trusted.", "user.overlay.", "security.selinux", "security.apparmor", "system.")


class Region(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._position = file, offset, size, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        self._file.seek(self._offset + self._position)
        content = self._file.read(left if size is None or size < 0 else min(size, left))
        self._position += len(content)
        return content


def read_entries(file: Path, *, offset: int = 0, size: int | None = None) -> list[tuple[str, Entry]]:
    """The entries of an uncompressed tar (or of the part of a file that is one), contents staying where they are.

    Raises `BuildError` if it is no tar, or holds sparse files, whose bytes are not in one piece.
    """
    with file.open("rb") as stream:
        region = Region(stream, offset, file.stat().st_size - offset if size is None else size)
        result = []
        try:
            with tarfile.open(fileobj=region, mode="r:") as archive:
                for member in archive:
                    place = FileContent(file, offset + member.offset_data, member.size)
                    result.append((_path(member.name), _entry(member, place)))
                    archive.members = []  # type: ignore[attr-defined]  # it would keep them all, a gigabyte a million
        except tarfile.TarError as problem:
            raise BuildError(f"{file} is not a usable tar archive: {problem}") from problem
    return result


def read_known(stream: IO[bytes]) -> Iterator[tuple[str, Entry]]:
    """The entries of an uncompressed tar stream, contents known by their digest alone."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = None
            if member.isreg():
                extracted = archive.extractfile(member)
                assert extracted is not None
                content = KnownContent(_sha256(extracted))
            yield _path(member.name), _entry(member, content)


def _sha256(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _entry(member: tarfile.TarInfo, content: FileContent | KnownContent | None) -> Entry:
    kind = _KINDS.get(member.type)
    if kind is None or member.issparse():
        raise BuildError(f"the archive entry {member.name!r} is of a kind that no image can hold")
    regular = kind == tar.REGULAR
    link = kind in (tar.SYMLINK, tar.HARDLINK)
    device = kind in (tar.CHARACTER, tar.BLOCK_DEVICE)
    attributes = Attributes(
        kind=kind,
        mode=0o777 if kind == tar.SYMLINK else member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        size=member.size if regular else 0,
        target=(_path(member.linkname) if kind == tar.HARDLINK else member.linkname) if link else "",
        major=member.devmajor if device else 0,
        minor=member.devminor if device else 0,
        xattrs=_xattrs(member.pax_headers.items()),
    )
    return Entry(attributes, content if regular else None)


def _xattrs(records: Iterable[tuple[str, str]]) -> tuple[tuple[str, bytes], ...]:
    found = []
    for key, value in records:
        name = key.removeprefix(tar.XATTR_PREFIX)
        if name != key and not name.startswith(_HOST_XATTRS):
            found.append((name, value.encode("utf-8", "surrogateescape")))
    return tuple(sorted(found))


def _path(name: str) -> str:
    """A path without leading `./` or `/` and without trailing slash. Raises `BuildError` if it climbs out."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BuildError(f"the archive entry {name!r} leaves the archive")
    return "/".join(parts)
