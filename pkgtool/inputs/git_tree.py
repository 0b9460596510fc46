"""The files of a commit as one canonical tar: the same bytes for the same commit, whatever git made or sent it.

`git archive` is not used: its bytes belong to git's version, and attributes in the tree change its content.
Entries are sorted by name; owners are 0, modes 644, 755 or 777 for links, times the committer's. Submodules
appear as nothing: a build that needs one names it as an input of its own.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Protocol, cast

_SUBMODULE = "160000"
_LINK = "120000"
_EXECUTABLE = "100755"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One blob of a tree, as `git ls-tree -r` lists it."""

    name: bytes
    mode: str
    object_id: str


class Sink(Protocol):
    def write(self, content: bytes, /) -> int: ...


def parse_listing(listing: bytes) -> tuple[Entry, ...]:
    """The entries of `git ls-tree -r -z --full-tree`, sorted. Raises `ValueError` for names that can't be laid out."""
    entries = []
    for record in listing.split(b"\0")[:-1]:
        head, _, name = record.partition(b"\t")
        mode, _, object_id = head.decode("ascii").split(" ")
        if mode != _SUBMODULE:
            entries.append(Entry(name, mode, object_id))
    entries.sort()
    _check_names([entry.name for entry in entries])
    return tuple(entries)


def _check_names(names: Iterable[bytes]) -> None:
    """Crafted trees can name a path twice, or a file and something below it."""
    files: set[bytes] = set()
    directories: set[bytes] = set()
    for name in names:
        parts = name.split(b"/")
        if any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts):
            raise ValueError(f"the tree has the name {name!r}")
        parents = {b"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if name in files or name in directories or parents & files:
            raise ValueError(f"the tree has {name!r} twice")
        files.add(name)
        directories |= parents


def write_tar(entries: Iterable[Entry], read: Callable[[], tuple[int, IO[bytes]]], time: int, sink: Sink) -> None:
    """Write the tar. `read` gives size and stream of each entry's object in turn; `time` is in seconds since 1970."""
    with tarfile.open(fileobj=cast(IO[bytes], sink), mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name.decode("utf-8", "surrogateescape"))
            info.mtime = time
            size, stream = read()
            if entry.mode == _LINK:
                info.type, info.mode = tarfile.SYMTYPE, 0o777
                info.linkname = stream.read(size).decode("utf-8", "surrogateescape")
                archive.addfile(info)
                continue
            info.size = size
            info.mode = 0o755 if entry.mode == _EXECUTABLE else 0o644
            archive.addfile(info, _Exactly(stream, size))


class _Exactly(io.RawIOBase):
    """Exactly `size` bytes of a stream that goes on after them."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        content = self._stream.read(wanted)
        self._left -= len(content)
        return content
