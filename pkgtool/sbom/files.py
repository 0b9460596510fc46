"""The files of an image as a stream, each once, in one pass over its layers."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from pkgtool.errors import StoreError
from pkgtool.oci.canonical.contents import open_layer
from pkgtool.oci.canonical.layer import Layer
from pkgtool.oci.canonical.tree import OPAQUE, WHITEOUT
from pkgtool.oci.store.layout import Layout

CHUNK = 1 << 20
"""Bytes per read."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A regular file: its path without a leading slash, its permission bits, its size in bytes.

    `open` gives its content as a stream; it is valid only until the next file is asked for.
    """

    path: str
    mode: int
    size: int
    open: Callable[[], IO[bytes]]


def files_in_store(layout: Layout, layers: Sequence[Layer]) -> Iterator[ImageFile]:
    """The files of an image in the store; `layers` from the bottom up. Raises `StoreError` if a layer is damaged."""

    def opener(layer: Layer) -> Callable[[], IO[bytes]]:
        return lambda: open_layer(layout, layer)

    return visible_files([opener(layer) for layer in layers])


def visible_files(layers: Sequence[Callable[[], IO[bytes]]]) -> Iterator[ImageFile]:
    """The files that are visible when all layers lie on top of each other (OCI image-spec, layer.md).

    `layers` give uncompressed tars, from the bottom up. They are read from the top down: whatever comes first is what
    is visible, so nothing has to be kept but names. Hard links are left out; the file they point to is there.
    """
    hidden = _Hidden()
    for open_one in reversed(layers):
        with open_one() as stream:
            yield from _layer(stream, hidden)
        hidden.finish_layer()


class _Hidden:
    """What upper layers have put somewhere, or taken away.

    A file, link or whiteout hides a lower layer's whole tree at its path; a directory hides only what is none; an
    opaque directory hides all that lower layers have in it.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._directories: set[str] = set()
        self._opaque: set[str] = set()
        self._new_taken: set[str] = set()
        self._new_directories: set[str] = set()
        self._new_opaque: set[str] = set()

    def note(self, path: str, *, directory: bool) -> None:
        parent, _, name = path.rpartition("/")
        if name == OPAQUE:
            self._new_opaque.add(parent)
        elif name.startswith(WHITEOUT):
            self._new_taken.add(f"{parent}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
        elif directory:
            self._new_directories.add(path)
        else:
            self._new_taken.add(path)

    def covers(self, path: str) -> bool:
        """Whether a lower layer's file at the path can't be seen."""
        if path in self._taken or path in self._directories:
            return True
        while path:
            path = path.rpartition("/")[0]
            if path in self._taken or path in self._opaque:
                return True
        return "" in self._opaque

    def finish_layer(self) -> None:
        """A layer hides what is below it, never what it brings itself."""
        self._taken |= self._new_taken
        self._directories |= self._new_directories
        self._opaque |= self._new_opaque
        self._new_taken, self._new_directories, self._new_opaque = set(), set(), set()


def _layer(stream: IO[bytes], hidden: _Hidden) -> Iterator[ImageFile]:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                path = "/".join(part for part in member.name.split("/") if part not in ("", "."))
                if not path:
                    continue
                hidden.note(path, directory=member.isdir())
                if member.isreg() and not path.rpartition("/")[2].startswith(WHITEOUT) and not hidden.covers(path):
                    yield ImageFile(path, member.mode & 0o7777, member.size, _opener(archive, member))
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise StoreError(f"a layer of the image can't be read: {problem}") from problem


def _opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        stream = archive.extractfile(member)
        assert stream is not None
        return stream

    return opened


def chunks(stream: IO[bytes]) -> Iterable[bytes]:
    """A stream in pieces."""
    while piece := stream.read(CHUNK):
        yield piece
