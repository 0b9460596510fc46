"""Files of an image in the store, read out of its layers."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from pkgtool.oci.canonical.contents import file_system, layer_entries, open_layer
from pkgtool.oci.canonical.image import layers_of
from pkgtool.oci.canonical.layer import Layer
from pkgtool.oci.canonical.tar_format import HARDLINK, REGULAR
from pkgtool.oci.canonical.tree import Entry
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store.layout import Layout


def read_files(layout: Layout, manifest: Descriptor, wanted: Callable[[str], bool]) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of an image whose paths are wanted, each with a stream valid until the next one.

    A path occurs once, with the content that the finished image has. Raises `StoreError` for damaged layers.
    """
    layers = layers_of(layout, manifest)
    final = file_system(layout, layers)
    left = {path for path, entry in final.items() if entry.attributes.kind == REGULAR and wanted(path)}
    for layer in reversed(layers):
        members = _members(layer_entries(layout, layer), left)
        left.difference_update(path for paths in members.values() for path in paths)
        if members:
            yield from _contents(layout, layer, members)


def _members(entries: Iterable[tuple[str, Entry]], left: Collection[str]) -> dict[str, list[str]]:
    """Which member of a layer has the content of which wanted paths: a hard link's is its target's."""
    found: dict[str, list[str]] = {}
    for path, entry in entries:
        if path in left and entry.attributes.kind in (REGULAR, HARDLINK):
            source = entry.attributes.target if entry.attributes.kind == HARDLINK else path
            found.setdefault(source, []).append(path)
    return found


def _contents(layout: Layout, layer: Layer, members: Mapping[str, list[str]]) -> Iterator[tuple[str, IO[bytes]]]:
    with open_layer(layout, layer) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            paths = members.get(member.name.rstrip("/"), ()) if member.isreg() else ()
            if len(paths) == 1:
                content = archive.extractfile(member)
                assert content is not None
                yield paths[0], content
            elif paths:
                content = archive.extractfile(member)
                assert content is not None
                whole = content.read()
                yield from ((path, io.BytesIO(whole)) for path in paths)


def extract_files(layout: Layout, manifest: Descriptor, paths: Collection[str], target: Path) -> None:
    """Write regular files of an image below `target`, for people to look at (plain modes, no owners)."""
    target.mkdir(parents=True, exist_ok=True)
    for path, stream in read_files(layout, manifest, lambda p: p in paths):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            while chunk := stream.read(1 << 20):
                file.write(chunk)
