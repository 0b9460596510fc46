"""The file system of an image in the store, contents by digest; each layer's listing is worked out once."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from typing import IO, Any, cast

from pkgtool.errors import StoreError
from pkgtool.oci import files
from pkgtool.oci.canonical.compression import uncompressed
from pkgtool.oci.canonical.layer import Layer
from pkgtool.oci.canonical.tar_reader import read_known, read_times
from pkgtool.oci.canonical.tree import Attributes, Entry, FileSystem, KnownContent
from pkgtool.oci.store.layout import Layout
from pkgtool.values import Digest


def file_system(layout: Layout, layers: Sequence[Layer]) -> dict[str, Entry]:
    """What is in an image, by path. Raises `StoreError` if a layer is absent or damaged."""
    tree = FileSystem()
    for layer in layers:
        tree.apply(layer_entries(layout, layer))
    return tree.entries()


def layer_entries(layout: Layout, layer: Layer) -> Iterable[tuple[str, Entry]]:
    """A layer's entries, whiteouts as they stand, from the cached listing or from the layer itself."""
    # Under both digests: whose configuration claims another content for a blob must not borrow or leave a listing.
    name = f"{layer.diff_id.hex[:64]}-{layer.descriptor.digest.hex[:64]}.json.gz"
    cache = layout.root / "pkgtool" / "listings" / name
    try:
        return [_load(line) for line in gzip.decompress(cache.read_bytes()).splitlines()]
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        pass  # absent or unreadable: it is only a cache
    layout.verify_blob(layer.descriptor.digest)
    with _Hashed(open_layer(layout, layer), layer.diff_id.algorithm) as stream:
        entries = list(read_known(cast("IO[bytes]", stream)))
        if (found := stream.digest()) != layer.diff_id:
            raise StoreError(
                f"layer {layer.descriptor.digest} unpacks to {found}, not to {layer.diff_id} as its image says"
            )
    lines = "\n".join(_dump(path, entry) for path, entry in entries)
    files.write_atomic(cache, gzip.compress(lines.encode(), 1, mtime=0))
    return entries


def times(layout: Layout, layers: Sequence[Layer]) -> dict[str, float]:
    """When each path was changed, in seconds since 1970, as the highest layer that has it says.

    Raises `BuildError` or `StoreError` if a layer is damaged.
    """
    found: dict[str, float] = {}
    for layer in layers:
        with open_layer(layout, layer) as stream:
            found.update(read_times(stream))
    return found


def open_layer(layout: Layout, layer: Layer) -> IO[bytes]:
    """The uncompressed tar of a layer as a stream; reading raises `StoreError` where it is damaged."""
    stream = layout.open(layer.descriptor.digest)
    return uncompressed(stream, what=f"layer {layer.descriptor.digest}")


class _Hashed(io.BufferedIOBase):
    """A stream whose every byte is hashed; it can't seek, so whoever reads it passes over nothing."""

    def __init__(self, stream: IO[bytes], algorithm: str) -> None:
        self._stream = stream
        self._digest = hashlib.new(algorithm)

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = self._stream.read(-1 if size is None else size)
        self._digest.update(chunk)
        return chunk

    def digest(self) -> Digest:
        """Of all that is there: what is behind the archive's end is read now."""
        while self.read(1 << 20):
            pass
        return Digest(self._digest.name, self._digest.hexdigest())

    def close(self) -> None:
        self._stream.close()
        super().close()


def _dump(path: str, entry: Entry) -> str:
    a = entry.attributes
    document: dict[str, Any] = {
        "path": path,
        "kind": a.kind.decode(),
        "mode": a.mode,
        "owner": [a.uid, a.gid],
        "size": a.size,
        "target": a.target,
        "device": [a.major, a.minor],
        "xattrs": [[name, base64.b64encode(value).decode()] for name, value in a.xattrs],
    }
    if entry.content is not None:
        document["sha256"] = entry.content.sha256()
    return json.dumps(document)


def _load(line: bytes) -> tuple[str, Entry]:
    d = json.loads(line)
    attributes = Attributes(
        kind=d["kind"].encode(),
        mode=d["mode"],
        uid=d["owner"][0],
        gid=d["owner"][1],
        size=d["size"],
        target=d["target"],
        major=d["device"][0],
        minor=d["device"][1],
        xattrs=tuple((name, base64.b64decode(value)) for name, value in d["xattrs"]),
    )
    return d["path"], Entry(attributes, KnownContent(d["sha256"]) if "sha256" in d else None)
