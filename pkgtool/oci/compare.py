"""The difference of two images in the store: files, their attributes and sizes, and the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pkgtool.oci.canonical.contents import file_system
from pkgtool.oci.canonical.image import layers_of
from pkgtool.oci.canonical.tar_format import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARDLINK, REGULAR, SYMLINK
from pkgtool.oci.canonical.tree import Entry
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store.layout import Layout

_KINDS = {
    REGULAR: "file",
    HARDLINK: "hard link",
    SYMLINK: "symbolic link",
    CHARACTER: "character device",
    BLOCK_DEVICE: "block device",
    DIRECTORY: "directory",
    FIFO: "fifo",
}


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One path: `what` is added, removed or changed; `details` name the attributes with both values."""

    path: str
    what: str
    details: tuple[str, ...]
    size_before: int = 0
    size_after: int = 0

    def __str__(self) -> str:
        return f"{self.what} {self.path}" + (f": {', '.join(self.details)}" if self.details else "")


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """Everything in which two images differ."""

    files: tuple[FileDifference, ...]
    configuration: tuple[str, ...]
    layers: tuple[str, ...] = ()
    """Set when the contents are the same and only their packing into layers is not."""

    def __bool__(self) -> bool:
        return bool(self.files or self.configuration or self.layers)

    def lines(self) -> Iterator[str]:
        """The difference for people."""
        yield from map(str, self.files)
        yield from (f"configuration {line}" for line in self.configuration)
        yield from self.layers


def compare(layout_a: Layout, a: Descriptor, layout_b: Layout, b: Descriptor) -> ImageDifference:
    """What changed from image `a` to image `b` (manifests of one platform each)."""
    layers_a, layers_b = layers_of(layout_a, a), layers_of(layout_b, b)
    files = tuple(_files(file_system(layout_a, layers_a), file_system(layout_b, layers_b)))
    configuration = tuple(_values("", _config(layout_a, a), _config(layout_b, b)))
    layers: tuple[str, ...] = ()
    if not files and not configuration and a.digest != b.digest:
        ids_a, ids_b = ([str(layer.diff_id) for layer in layers] for layers in (layers_a, layers_b))
        if ids_a == ids_b:
            layers = ("the same layers, compressed differently",)
        else:
            layers = (f"the same files in other layers: {', '.join(ids_a)} → {', '.join(ids_b)}",)
    return ImageDifference(files, configuration, layers)


def _config(layout: Layout, manifest: Descriptor) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(layout.read(layout.manifest(manifest).config))
    document.pop("rootfs", None)  # that is the files
    return document


def _files(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Iterator[FileDifference]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None and new is not None:
            yield FileDifference(path, "added", (_kind(new),), size_after=new.attributes.size)
        elif new is None and old is not None:
            yield FileDifference(path, "removed", (_kind(old),), size_before=old.attributes.size)
        elif old is not None and new is not None and not new.same_as(old):
            details = tuple(_attributes(old, new))
            yield FileDifference(path, "changed", details, old.attributes.size, new.attributes.size)


def _kind(entry: Entry) -> str:
    return _KINDS.get(entry.attributes.kind, "entry")


def _attributes(old: Entry, new: Entry) -> Iterator[str]:
    a, b = old.attributes, new.attributes
    if a.kind != b.kind:
        yield f"type {_kind(old)} → {_kind(new)}"
    if a.mode != b.mode:
        yield f"mode {a.mode:04o} → {b.mode:04o}"
    if (a.uid, a.gid) != (b.uid, b.gid):
        yield f"owner {a.uid}:{a.gid} → {b.uid}:{b.gid}"
    if a.target != b.target:
        yield f"target {a.target or 'none'} → {b.target or 'none'}"
    if (a.major, a.minor) != (b.major, b.minor):
        yield f"device {a.major}:{a.minor} → {b.major}:{b.minor}"
    if a.xattrs != b.xattrs:
        names = sorted({name for name, _ in {*a.xattrs} ^ {*b.xattrs}})
        yield f"extended attributes {', '.join(names)}"
    if a.size != b.size:
        yield f"size {a.size} → {b.size}"
    elif old.content and new.content and old.content.sha256() != new.content.sha256():
        yield "content"


def _values(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _values(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    elif old != new:
        yield f"{path}: {_shown(old)} → {_shown(new)}"


def _shown(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)
