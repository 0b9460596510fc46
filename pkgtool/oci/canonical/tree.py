"""File systems as data: what layers say, one on top of the other, and the difference of two results."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from pkgtool.oci.canonical.tar_format import DIRECTORY, HARDLINK

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Attributes:
    """All that counts of an entry but its content: no times, no owner names."""

    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int = 0
    target: str = ""
    major: int = 0
    minor: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()


IMPLIED_DIRECTORY = Attributes(DIRECTORY, 0o755, 0, 0)


class Content(Protocol):
    """Where the bytes of a regular file are; two entries with an equal content are hard links of each other."""

    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FileContent:
    """Bytes in an uncompressed file: a tar on disk."""

    file: Path
    offset: int
    size: int

    def sha256(self) -> str:
        import hashlib

        digest = hashlib.sha256()
        with ContentReader() as reader:
            for chunk in reader.chunks(self):
                digest.update(chunk)
        return digest.hexdigest()


class ContentReader:
    """Reads contents, opening each file that they are in once."""

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def chunks(self, content: FileContent) -> Iterator[bytes]:
        """The bytes, a megabyte at a time. Raises `EOFError` if the file ends before."""
        descriptor = self._descriptors.get(content.file)
        if descriptor is None:
            descriptor = self._descriptors[content.file] = os.open(content.file, os.O_RDONLY | os.O_CLOEXEC)
        position, end = content.offset, content.offset + content.size
        while position < end:
            chunk = os.pread(descriptor, min(end - position, _CHUNK), position)
            if not chunk:
                raise EOFError(f"{content.file} ends before its entries do")
            position += len(chunk)
            yield chunk


@dataclass(frozen=True, slots=True)
class KnownContent:
    """Bytes of which only the digest is known: those of a parent's file."""

    digest: str

    def sha256(self) -> str:
        return self.digest


@dataclass(frozen=True, slots=True)
class Entry:
    """A path's attributes and, for a regular file, its content."""

    attributes: Attributes
    content: FileContent | KnownContent | None = None

    def same_as(self, other: Entry) -> bool:
        """Whether both are the same to whoever runs the image. Reads contents only if everything else is equal."""
        if self.attributes != other.attributes:
            return False
        if self.content is None or other.content is None:
            return self.content is other.content
        return self.content == other.content or self.content.sha256() == other.content.sha256()


@dataclass(slots=True)
class _Node:
    entry: Entry | None = None
    children: dict[str, _Node] = field(default_factory=dict)


class FileSystem:
    """Paths and what is there, built up layer by layer."""

    def __init__(self) -> None:
        self._root = _Node(Entry(IMPLIED_DIRECTORY))

    def apply(self, layer: Iterable[tuple[str, Entry]]) -> None:
        """Put a layer on top, whiteouts included (OCI image-spec, layer.md)."""
        entries = list(layer)
        # A layer's whiteouts hide what is below it, never what the layer itself brings, whatever their order.
        for path, _ in entries:
            directory, _, name = path.rpartition("/")
            if name == OPAQUE:
                node = self._find(directory)
                if node:
                    node.children.clear()
            elif name.startswith(WHITEOUT):
                node = self._find(directory)
                if node:
                    node.children.pop(name.removeprefix(WHITEOUT), None)
        directory, parent = "", self._root
        for path, entry in entries:
            above, _, name = path.rpartition("/")
            if name.startswith(WHITEOUT) or not path:
                continue
            if above != directory:  # neighbours come together, so the last one often serves
                directory, parent = above, self._directory(above)
            if self._set(parent, name, entry):
                directory, parent = "", self._root

    def entries(self) -> dict[str, Entry]:
        """Everything that is there, by path; directories that nobody described are 0755 and root's."""
        found: dict[str, Entry] = {}
        pending = [(name, node) for name, node in self._root.children.items()]
        while pending:
            path, node = pending.pop()
            found[path] = node.entry or Entry(IMPLIED_DIRECTORY)
            pending += [(f"{path}/{name}", child) for name, child in node.children.items()]
        return found

    def _find(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for part in filter(None, path.split("/")):
            node = node.children.get(part) if node else None
        return node

    def _directory(self, path: str) -> _Node:
        """The node of a directory, which is made one if it is none."""
        node = self._root
        for part in filter(None, path.split("/")):
            node = node.children.setdefault(part, _Node())
            if node.entry and node.entry.attributes.kind != DIRECTORY:
                node.entry = None
        return node

    def _set(self, directory: _Node, name: str, entry: Entry) -> bool:
        """Put an entry into a directory; whether that took away a node that was there."""
        resolved = self._resolve_hardlink(entry)
        old = directory.children.get(name)
        if old is None or resolved.attributes.kind != DIRECTORY:
            directory.children[name] = _Node(resolved)
            return old is not None
        old.entry = resolved
        return False

    def _resolve_hardlink(self, entry: Entry) -> Entry:
        """A hard link is the file it points at, under one more name."""
        if entry.attributes.kind != HARDLINK:
            return entry
        target = self._find(entry.attributes.target)
        return target.entry if target and target.entry else entry


@dataclass(frozen=True, slots=True)
class Difference:
    """What one layer must say to turn one file system into another."""

    changed: Mapping[str, Entry]
    removed: tuple[str, ...]
    """Paths that are gone, none of them below another one."""


def difference(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Difference:
    """The smallest layer that gives `after` on top of `before`."""
    changed = {}
    for path, entry in after.items():
        old = before.get(path)
        if old is None or not entry.same_as(old):
            changed[path] = entry
    removed = [path for path in sorted(before) if path not in after and not _goes_with_parent(path, after)]
    return Difference(changed, tuple(removed))


def _goes_with_parent(path: str, after: Mapping[str, Entry]) -> bool:
    """Whether a parent directory is gone or is no directory any more, which takes `path` with it."""
    parent = path.rpartition("/")[0]
    while parent:
        now = after.get(parent)
        if now is None or now.attributes.kind != DIRECTORY:
            return True
        parent = parent.rpartition("/")[0]
    return False
