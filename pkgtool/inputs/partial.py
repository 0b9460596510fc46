"""An unfinished download that outlives the process: the next attempt, or the next run, goes on at its end."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Self

from pkgtool.oci.files import CHUNK, put_in_place
from pkgtool.values import Digest


class Partial:
    """The file at `path`, opened for appending; counts and hashes all of it, also what an earlier run left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b")
        self._hash = hashlib.sha256()
        self.size = 0
        while chunk := self._file.read(CHUNK):
            self._hash.update(chunk)
            self.size += len(chunk)
        self.inherited = self.size
        """How many of the bytes are not from the place that is being tried; 0 after `restart`."""

    def write(self, content: bytes | bytearray | memoryview) -> int:
        self._hash.update(content)
        self.size += len(content)
        return self._file.write(content)

    def restart(self) -> None:
        """Forget everything that was received."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = self.inherited = 0

    def flush(self) -> None:
        """Let others who open `path` see all that was written."""
        self._file.flush()

    @property
    def digest(self) -> Digest:
        return Digest("sha256", self._hash.hexdigest())

    def move_to(self, place: Path) -> None:
        """Sync the file and give it its final place, all at once."""
        put_in_place(self._file, self.path, place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file.closed:
            return
        self._file.close()
        if not self.size:
            self.path.unlink(missing_ok=True)
