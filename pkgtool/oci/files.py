"""Files that are there whole or not at all.

Content is written beside its place, synced, and renamed into it; the directory is synced after that. A kill
at any moment leaves either the old state or the new one, and leftovers only in the temporary directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pkgtool.values import Digest

CHUNK = 1024 * 1024
"""Bytes per read; large enough that hashing, not system calls, sets the pace."""


def sync_directory(path: Path) -> None:
    """Make renames inside a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644, unfinished: Path | None = None) -> None:
    """Replace a small file at once. `unfinished` is where it is written first, on the same file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=unfinished or path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    sync_directory(path.parent)


def put_in_place(file: IO[bytes], path: Path, place: Path) -> None:
    """Sync and close the open file at `path`, and rename it to `place`, on the same file system."""
    file.flush()
    os.fchmod(file.fileno(), 0o644)
    os.fsync(file.fileno())
    file.close()
    place.parent.mkdir(parents=True, exist_ok=True)
    path.replace(place)
    sync_directory(place.parent)


def hash_file(path: Path) -> Digest:
    """The sha256 of a file, in constant memory."""
    with path.open("rb") as file:
        return Digest("sha256", hashlib.file_digest(file, "sha256").hexdigest())


class HashingWriter:
    """A new file in `directory` that counts and hashes what is written, until it is put into its place."""

    def __init__(self, directory: Path) -> None:
        descriptor, name = tempfile.mkstemp(prefix="blob-", dir=directory)
        self.path = Path(name)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes | bytearray | memoryview) -> int:
        self._hash.update(content)
        self.size += len(content)
        return self._file.write(content)

    @property
    def digest(self) -> Digest:
        """The digest of what has been written so far."""
        return Digest("sha256", self._hash.hexdigest())

    def move_to(self, place: Path) -> None:
        """Sync the file and rename it to `place`."""
        put_in_place(self._file, self.path, place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
