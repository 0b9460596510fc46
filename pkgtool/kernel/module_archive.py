"""kernel.tar: the modules in it, read in place, and a copy of it with other modules.

A copy keeps every byte of the archive but for the modules' contents and the two header fields that depend on them
(size and checksum, POSIX ustar), so the same archive and the same signatures give the same copy.
"""

from __future__ import annotations

import io
import mmap
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pkgtool.errors import KernelError, Location

_BLOCK = 512
_SIZE, _CHECKSUM = slice(124, 136), slice(148, 156)


@dataclass(frozen=True, slots=True)
class ArchivedModule:
    """One module: its path in the archive, and where its header and content lie."""

    path: str
    header: int
    start: int
    size: int


class ModuleArchive:
    """An open kernel.tar. `content` gives views of the mapped file, so nothing is copied."""

    def __init__(self, mapped: mmap.mmap, modules: tuple[ArchivedModule, ...]) -> None:
        self._mapped = mapped
        self.modules = modules

    def content(self, module: ArchivedModule) -> memoryview:
        return memoryview(self._mapped)[module.start : module.start + module.size]

    def raw(self, start: int, end: int | None = None) -> memoryview:
        return memoryview(self._mapped)[start:end]


@contextmanager
def open_archive(path: Path) -> Iterator[ModuleArchive]:
    """Open a kernel.tar. Raises `KernelError` if it is not an uncompressed tar archive."""
    try:
        with path.open("rb") as file:
            modules = tuple(_modules(file))
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, tarfile.TarError, ValueError) as problem:
        raise KernelError(
            f"{path} can't be read as a tar archive: {problem}", location=Location(str(path))
        ) from problem
    try:
        yield ModuleArchive(mapped, modules)
    finally:
        # The traceback of an error may still hold views; the mapping then goes with them.
        with suppress(BufferError):
            mapped.close()


def _modules(file: BinaryIO) -> Iterator[ArchivedModule]:
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            if member.isreg() and is_module(member.name):
                yield ArchivedModule(member.name, member.offset_data - _BLOCK, member.offset_data, member.size)


def is_module(path: str) -> bool:
    """Whether a path is that of a kernel module. Compressed ones are refused by configuration."""
    return path.endswith(".ko")


def rewrite(
    source: ModuleArchive, target: Path, contents: Callable[[ArchivedModule], Iterable[bytes | memoryview]]
) -> None:
    """Write a copy of `source` in which each module has the pieces that `contents` gives."""
    with target.open("wb") as file:
        position = 0
        for module in source.modules:
            pieces = list(contents(module))
            size = sum(len(piece) for piece in pieces)
            file.write(source.raw(position, module.header))
            file.write(_resized(bytes(source.raw(module.header, module.start)), size))
            file.writelines(pieces)
            file.write(bytes(-size % _BLOCK))
            position = module.start + module.size + (-module.size % _BLOCK)
        file.write(source.raw(position))


def _resized(header: bytes, size: int) -> bytes:
    """A ustar header with another size."""
    changed = bytearray(header)
    changed[_SIZE] = b"%011o\0" % size
    changed[_CHECKSUM] = b" " * 8
    changed[_CHECKSUM] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def write_files(target: Path, files: Iterable[tuple[str, bytes]], *, epoch: int) -> None:
    """A small archive of plain files, sorted by name, owned by root, all with one time."""
    with tarfile.open(target, "w:", format=tarfile.GNU_FORMAT) as archive:
        for name, content in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o644, epoch
            archive.addfile(member, io.BytesIO(content))


def read_files(path: Path) -> dict[str, bytes]:
    """What `write_files` wrote. Raises `KernelError`."""
    try:
        with tarfile.open(path, "r:") as archive:
            return {m.name: f.read() for m in archive if m.isreg() and (f := archive.extractfile(m))}
    except (OSError, tarfile.TarError) as problem:
        raise KernelError(
            f"{path} can't be read as a tar archive: {problem}", location=Location(str(path))
        ) from problem
