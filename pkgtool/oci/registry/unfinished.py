"""Uploads that a killed process left behind: their URLs, kept in a private directory, so that the next one resumes.

    uploads/KEY.json    {"location": URL}; KEY is a hash over registry, repository and digest
    locks/upload-KEY    held while somebody uploads that blob to that place

A URL may carry the permission to write, so the files are readable by their owner alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.oci import files, locks
from pkgtool.values import Digest

_OLDEST = 7 * 24 * 3600.0
"""Seconds. Registries drop unfinished uploads after about a week (distribution's `uploadpurging`)."""


class Unfinished:
    """The memory of one state directory; without a directory it remembers nothing and locks nothing."""

    def __init__(self, state: Path | None) -> None:
        self._state = state

    def key(self, host: str, repository: str, digest: Digest) -> str:
        return hashlib.sha256(f"{host}\n{repository}\n{digest}".encode()).hexdigest()[:32]

    @contextmanager
    def alone(self, key: str, cancel: Cancellation, on_wait: Callable[[], None]) -> Iterator[None]:
        """Keep other processes of this machine from uploading the same blob to the same place meanwhile."""
        if self._state is None:
            yield
            return
        with locks.held(self._state / "locks" / f"upload-{key}", cancel=cancel, on_wait=on_wait):
            # What a killed process was just writing: whoever holds the lock is the only one that writes it.
            for leftover in (self._state / "uploads").glob(f".{key}.json.*"):
                leftover.unlink(missing_ok=True)
            yield

    def location(self, key: str) -> str | None:
        """The URL of the upload that was begun, or None. One that can't be read counts as absent."""
        path = self._path(key)
        if path is None:
            return None
        try:
            if path.stat().st_mtime < time.time() - _OLDEST:
                path.unlink()
                return None
            return str(json.loads(path.read_bytes())["location"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, key: str, location: str) -> None:
        path = self._path(key)
        if path is not None:
            files.write_atomic(path, json.dumps({"location": location}).encode(), mode=0o600)

    def forget(self, key: str) -> None:
        path = self._path(key)
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _path(self, key: str) -> Path | None:
        return self._state / "uploads" / f"{key}.json" if self._state else None
