"""What an engine hands over: an archive with one image, or a bare root file system."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgtool.errors import BuildError
from pkgtool.oci.canonical.compression import is_compressed, uncompressed
from pkgtool.oci.canonical.tar_reader import read_entries
from pkgtool.oci.canonical.tree import Entry
from pkgtool.values import Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ProductLayer:
    """One layer: a part of a file. `unpacked` is where a compressed one is unpacked to, once it is looked into."""

    diff_id: Digest | None
    file: Path
    offset: int = 0
    size: int | None = None
    unpacked: Path | None = None

    def entries(self) -> list[tuple[str, Entry]]:
        """What is in it; the entries' contents are read from the file later. Raises `BuildError` if it is damaged."""
        if self.unpacked is None:
            return read_entries(self.file, offset=self.offset, size=self.size)
        _unpack(self.file, self.offset, self.size or 0, self.unpacked)
        return read_entries(self.unpacked)


@dataclass(frozen=True, slots=True)
class Product:
    """An image as an engine made it: its configuration document and its layers, lowest first.

    `mounts` is None if no RUN step took part in it; else engines may have left mount points behind, and those of
    the steps themselves are listed.
    """

    config: Mapping[str, Any]
    layers: tuple[ProductLayer, ...]
    mounts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RootfsConfig:
    """What a bare root file system's image is to run."""

    env: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def from_rootfs(archive: Path, config: RootfsConfig) -> Product:
    """An image of one layer out of an uncompressed tar of a root file system."""
    document = {"config": {"Env": list(config.env), "Cmd": list(config.command), "Labels": dict(config.labels)}}
    return Product(document, (ProductLayer(None, archive),))


def from_docker_archive(archive: Path, scratch: Path, *, mounts: tuple[str, ...] | None) -> Product:
    """The one image of a `docker save` archive; compressed layers are unpacked into `scratch`.

    Both shapes are read, the old one and the OCI layout that Docker ≥ 25 writes: their manifest.json is the same.
    Raises `BuildError` if the archive is not of either shape.
    """
    try:
        with tarfile.open(archive, "r:") as outer:
            members = {member.name: member for member in outer}
            images = json.loads(_content(outer, members["manifest.json"]))
            config = json.loads(_content(outer, members[images[0]["Config"]]))
            diff_ids = [Digest.parse(text) for text in config["rootfs"]["diff_ids"]]
            layers = [_resolve(members, name) for name in images[0]["Layers"]]
    except (tarfile.TarError, KeyError, IndexError, ValueError, TypeError) as problem:
        raise BuildError(f"the engine's archive {archive} is not as expected: {problem!r}") from problem
    if len(layers) != len(diff_ids):
        raise BuildError(f"the engine's archive has {len(layers)} layers and {len(diff_ids)} diff ids")
    return Product(config, tuple(_layers(archive, layers, diff_ids, scratch)), mounts)


def _content(outer: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    extracted = outer.extractfile(member)
    if extracted is None:
        raise KeyError(member.name)
    return extracted.read()


def _resolve(members: Mapping[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    """A layer's member; Docker 20.10 writes a layer that it saved before as a symbolic link."""
    member = members[name]
    if member.issym() or member.islnk():
        parent = name.rpartition("/")[0]
        parts: list[str] = [] if member.islnk() else parent.split("/")
        for part in member.linkname.split("/"):
            parts = parts[:-1] if part == ".." else [*parts, part]
        return members["/".join(filter(None, parts))]
    return member


def _layers(
    archive: Path, members: list[tarfile.TarInfo], diff_ids: list[Digest], scratch: Path
) -> Iterator[ProductLayer]:
    with archive.open("rb") as stream:
        for number, (member, diff_id) in enumerate(zip(members, diff_ids, strict=True)):
            stream.seek(member.offset_data)
            if not is_compressed(stream.read(4)):
                yield ProductLayer(diff_id, archive, member.offset_data, member.size)
            else:
                # A parent's layers are never looked into, so they are not unpacked either.
                plain = scratch / f"layer-{number}.tar"
                yield ProductLayer(diff_id, archive, member.offset_data, member.size, plain)


def _unpack(source: Path, offset: int, size: int, target: Path) -> None:
    part = _Part(source, offset, size)
    with (
        uncompressed(
            io.BufferedReader(part, _CHUNK), what="a layer in the engine's archive", error=BuildError
        ) as plain,
        target.open("wb") as file,
    ):
        shutil.copyfileobj(plain, file, _CHUNK)


class _Part(io.RawIOBase):
    """A stretch of a file as a stream. Raises `BuildError` if the file ends before it does."""

    def __init__(self, file: Path, offset: int, size: int) -> None:
        self._file = file.open("rb", buffering=0)
        self._file.seek(offset)
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with memoryview(buffer) as whole, whole[: self._left] as wanted:
            size = self._file.readinto(wanted)
        if not size and self._left:
            raise BuildError("the engine's archive ends inside a layer")
        self._left -= size
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
