"""The memo: which manifest a fingerprint gave on a platform, so that a no-op needs no engine."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pkgtool.oci import files
from pkgtool.oci.documents import Descriptor
from pkgtool.values import Digest, Platform


def memo_key(fingerprint: Digest, platform: Platform) -> str:
    """The name under which a result is remembered."""
    return f"{fingerprint.hex}-{str(platform).replace('/', '-')}"


@dataclass(frozen=True, slots=True)
class MemoRecord:
    """What is remembered: the manifest and the blobs it needs, who made it, and in how many seconds."""

    manifest: Descriptor
    blobs: tuple[Descriptor, ...]
    made_by: str
    seconds: float

    @property
    def size(self) -> int:
        """Bytes of the image as it is transferred: manifest, configuration and layers."""
        return self.manifest.size + sum(blob.size for blob in self.blobs)


class Memo:
    """The folder of memo files. A record that can't be read counts as absent: it is only a memory."""

    def __init__(self, root: Path, temporary: Callable[[], Path]) -> None:
        self._root = root
        self._temporary = temporary

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / f"{key}.json"

    def get(self, key: str) -> MemoRecord | None:
        try:
            document = json.loads(self._path(key).read_bytes())
            return MemoRecord(
                Descriptor.parse(document["manifest"], what=key),
                tuple(Descriptor.parse(blob, what=key) for blob in document["blobs"]),
                str(document["madeBy"]),
                float(document["seconds"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def present(self, keys: Iterable[str]) -> list[str]:
        """Those keys that have a record, found by listing folders instead of asking for each file."""
        listed: dict[str, frozenset[str]] = {}
        found = []
        for key in keys:
            shard = key[:2]
            if shard not in listed:
                try:
                    listed[shard] = frozenset(os.listdir(self._root / shard))
                except OSError:
                    listed[shard] = frozenset()
            if f"{key}.json" in listed[shard]:
                found.append(key)
        return found

    def put(self, key: str, record: MemoRecord) -> None:
        document = {
            "manifest": record.manifest.document(),
            "blobs": [blob.document() for blob in record.blobs],
            "madeBy": record.made_by,
            "seconds": round(record.seconds, 3),
        }
        files.write_atomic(self._path(key), json.dumps(document).encode(), unfinished=self._temporary())

    def touch(self, key: str) -> None:
        """Note that the record was used just now; the collector goes by that."""
        with contextlib.suppress(OSError):  # a store that may only be read still serves
            os.utime(self._path(key))

    def remove(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[tuple[str, float]]:
        """Every key with the time of its last use, in seconds since 1970."""
        for path in self._root.glob("??/*.json"):
            yield path.stem, path.stat().st_mtime
