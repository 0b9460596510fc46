"""The file system of an image in the store, contents by digest; each layer's listing is worked out once."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from typing import IO, Any, cast

from pkgtool.errors import StoreError
from pkgtool.oci import files
from pkgtool.oci.canonical.layer import Layer
from pkgtool.oci.canonical.tar_reader import read_known, read_times
from pkgtool.oci.canonical.tree import Attributes, Entry, FileSystem, KnownContent
from pkgtool.oci.documents import LAYER_TAR
from pkgtool.oci.store.layout import Layout


def file_system(layout: Layout, layers: Sequence[Layer]) -> dict[str, Entry]:
    """What is in an image, by path. Raises `StoreError` if a layer is absent or damaged."""
    tree = FileSystem()
    for layer in layers:
        tree.apply(layer_entries(layout, layer))
    return tree.entries()


def layer_entries(layout: Layout, layer: Layer) -> Iterable[tuple[str, Entry]]:
    """A layer's entries, whiteouts as they stand, from the cached listing or from the layer itself."""
    cache = layout.root / "pkgtool" / "listings" / f"{layer.diff_id.hex}.json.gz"
    try:
        return [_load(line) for line in gzip.decompress(cache.read_bytes()).splitlines()]
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        pass  # absent or unreadable: it is only a cache
    layout.verify_blob(layer.descriptor.digest)
    try:
        with open_layer(layout, layer) as stream:
            entries = list(read_known(stream))
    except (OSError, EOFError) as problem:
        raise StoreError(f"layer {layer.descriptor.digest} can't be unpacked: {problem}") from problem
    lines = "\n".join(_dump(path, entry) for path, entry in entries)
    files.write_atomic(cache, gzip.compress(lines.encode(), 1, mtime=0))
    return entries


def times(layout: Layout, layers: Sequence[Layer]) -> dict[str, float]:
    """When each path was changed, in seconds since 1970, as the highest layer that has it says.

    Raises `BuildError` or `StoreError` if a layer is damaged.
    """
    found: dict[str, float] = {}
    for layer in layers:
        try:
            with open_layer(layout, layer) as stream:
                found.update(read_times(stream))
        except (OSError, EOFError) as problem:
            raise StoreError(f"layer {layer.descriptor.digest} can't be unpacked: {problem}") from problem
    return found


def open_layer(layout: Layout, layer: Layer) -> IO[bytes]:
    """The uncompressed tar of a layer as a stream."""
    from isal import igzip

    stream = layout.open(layer.descriptor.digest)
    if layer.descriptor.media_type == LAYER_TAR:
        return stream
    unpacked = igzip.GzipFile(fileobj=stream)  # type: ignore[no-untyped-call]
    unpacked.myfileobj = stream  # type: ignore[assignment]  # so that closing it closes the file too
    return cast("IO[bytes]", unpacked)


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
