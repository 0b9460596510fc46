"""The difference of two images in the store: files, their attributes and sizes, and the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pkgtool.oci.canonical.contents import file_system, times
from pkgtool.oci.canonical.image import layers_of
from pkgtool.oci.canonical.layer import Layer
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
class Detail:
    """One attribute with both values; without values where they would say nothing (`content`)."""

    what: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.before} → {self.after}" if self.before or self.after else self.what


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One path: `change` is added, removed or changed, and `details` name the attributes that are not the same.

    Sizes are in bytes, 0 where there is no file.
    """

    path: str
    change: str
    kind: str
    details: tuple[Detail, ...] = ()
    size_before: int = 0
    size_after: int = 0

    def __str__(self) -> str:
        told = ", ".join(map(str, self.details)) if self.details else self.kind
        return f"{self.change} {self.path}: {told}"


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """Everything in which two images differ."""

    files: tuple[FileDifference, ...]
    configuration: tuple[Detail, ...]
    layers: tuple[str, ...] = ()
    """Set when the contents are the same and only their packing into layers is not."""

    def __bool__(self) -> bool:
        return bool(self.files or self.configuration or self.layers)

    def lines(self) -> Iterator[str]:
        """The difference for people."""
        yield from map(str, self.files)
        yield from (f"configuration {each.what}: {each.before} → {each.after}" for each in self.configuration)
        yield from self.layers


def compare(layout_a: Layout, a: Descriptor, layout_b: Layout, b: Descriptor) -> ImageDifference:
    """What changed from image `a` to image `b` (manifests of one platform each).

    Times count only where nothing else differs: whole images of different SOURCE_DATE_EPOCH differ in every one of
    them, which their configuration tells in one line. Raises `StoreError` if a layer is absent or damaged.
    """
    layers_a, layers_b = layers_of(layout_a, a), layers_of(layout_b, b)
    files = tuple(_files(file_system(layout_a, layers_a), file_system(layout_b, layers_b)))
    configuration = tuple(_values("", _config(layout_a, a), _config(layout_b, b)))
    if files or configuration or a.digest == b.digest:
        return ImageDifference(files, configuration)
    if [layer.diff_id for layer in layers_a] == [layer.diff_id for layer in layers_b]:
        return ImageDifference((), (), ("the same layers, compressed differently",))
    retimed = tuple(_times(layout_a, layers_a, layout_b, layers_b))
    packing = () if retimed else (f"the same files in other layers: {_ids(layers_a)} → {_ids(layers_b)}",)
    return ImageDifference(retimed, (), packing)


def unpacked_size(layout: Layout, manifest: Descriptor) -> int:
    """The bytes of all files of an image, hard links counted once for each name."""
    return sum(entry.attributes.size for entry in file_system(layout, layers_of(layout, manifest)).values())


def _ids(layers: Sequence[Layer]) -> str:
    return ", ".join(str(layer.diff_id) for layer in layers)


def _config(layout: Layout, manifest: Descriptor) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(layout.read(layout.manifest(manifest).config))
    document.pop("rootfs", None)  # that is the files
    return document


def _files(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Iterator[FileDifference]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None and new is not None:
            yield FileDifference(path, "added", _kind(new), size_after=new.attributes.size)
        elif new is None and old is not None:
            yield FileDifference(path, "removed", _kind(old), size_before=old.attributes.size)
        elif old is not None and new is not None and not new.same_as(old):
            details = tuple(_attributes(old, new))
            yield FileDifference(path, "changed", _kind(new), details, old.attributes.size, new.attributes.size)


def _kind(entry: Entry) -> str:
    return _KINDS.get(entry.attributes.kind, "entry")


def _attributes(old: Entry, new: Entry) -> Iterator[Detail]:
    a, b = old.attributes, new.attributes
    if a.kind != b.kind:
        yield Detail("type", _kind(old), _kind(new))
    if a.mode != b.mode:
        yield Detail("mode", f"{a.mode:04o}", f"{b.mode:04o}")
    if (a.uid, a.gid) != (b.uid, b.gid):
        yield Detail("owner", f"{a.uid}:{a.gid}", f"{b.uid}:{b.gid}")
    if a.target != b.target:
        yield Detail("target", a.target or "none", b.target or "none")
    if (a.major, a.minor) != (b.major, b.minor):
        yield Detail("device", f"{a.major}:{a.minor}", f"{b.major}:{b.minor}")
    if a.xattrs != b.xattrs:
        names = sorted({name for name, _ in {*a.xattrs} ^ {*b.xattrs}})
        yield Detail(f"extended attributes {', '.join(names)}")
    if a.size != b.size:
        yield Detail("size", str(a.size), str(b.size))
    elif old.content and new.content and old.content.sha256() != new.content.sha256():
        yield Detail("content")


def _times(layout_a: Layout, a: Sequence[Layer], layout_b: Layout, b: Sequence[Layer]) -> Iterator[FileDifference]:
    before, after, entries = times(layout_a, a), times(layout_b, b), file_system(layout_b, b)
    for path in sorted(before.keys() & after.keys() & entries.keys()):
        if before[path] != after[path]:
            entry = entries[path]
            size = entry.attributes.size
            detail = Detail("time", _time(before[path]), _time(after[path]))
            yield FileDifference(path, "changed", _kind(entry), (detail,), size, size)


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"@{seconds:.0f}"


def _values(path: str, old: Any, new: Any) -> Iterator[Detail]:
    if old == new:
        return
    old_inside, new_inside = _inside(old), _inside(new)
    if isinstance(old_inside, dict) and isinstance(new_inside, dict):
        for key in sorted(old_inside.keys() | new_inside.keys()):
            yield from _values(f"{path}.{key}" if path else key, old_inside.get(key), new_inside.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _values(f"{path}[{number}]", before, after)
    else:
        yield Detail(path, _shown(old), _shown(new))


def _inside(value: Any) -> Any:
    """What a label holds that is JSON itself, as LinuxKit's runtime configuration is; anything else as it stands."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value


def _shown(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)
