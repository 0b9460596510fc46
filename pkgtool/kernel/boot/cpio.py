"""The `newc` cpio archive that kernels take as initramfs (Documentation/driver-api/early-userspace/buffer-format.rst).

The same files give the same bytes: entries sorted by path, inode numbers counted, one time, owners as given.
"""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pkgtool.errors import KernelError, Location

_MAGIC = "070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Node:
    """One file of an initramfs. `mode` has the type bits; a symbolic link's content is its target."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)
    owner: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        clean = str(PurePosixPath(self.path))
        if clean != self.path or clean.startswith(("/", "..")) or clean == ".":
            raise ValueError(f"{self.path!r} is not a plain relative path")


def file(path: str, content: bytes | str, mode: int = 0o644) -> Node:
    return Node(path, stat.S_IFREG | mode, content.encode() if isinstance(content, str) else content)


def directory(path: str, mode: int = 0o755) -> Node:
    return Node(path, stat.S_IFDIR | mode)


def link(path: str, target: str) -> Node:
    return Node(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Node:
    return Node(path, stat.S_IFCHR | mode, device=(major, minor))


def write(target: BinaryIO, nodes: Iterable[Node], *, epoch: int = 0) -> None:
    """Write an archive. A later node of the same path replaces an earlier one; missing directories are added."""
    for number, node in enumerate(_complete(nodes), 1):
        _entry(target, node, number, epoch)
    _entry(target, None, 0, 0)


def from_tar(path: Path) -> Iterator[Node]:
    """The files of a root file system in a tar archive. Raises `KernelError`."""
    try:
        with tarfile.open(path, "r:*") as archive:
            contents: dict[str, Node] = {}
            for member in archive:
                name = member.name.removeprefix("./").strip("/")
                if name in ("", "."):
                    continue
                if member.islnk():
                    node = replace(contents[member.linkname.removeprefix("./").strip("/")], path=name)
                else:
                    node = _from_member(archive, member, name)
                contents[name] = node
                yield node
    except (OSError, tarfile.TarError, KeyError) as problem:
        raise KernelError(
            f"{path} can't be read as a tar archive: {problem}", location=Location(str(path))
        ) from problem


def from_directory(root: Path) -> Iterator[Node]:
    """The files below a directory, owned by root."""
    for path in sorted(root.rglob("*")):
        status, name = path.lstat(), path.relative_to(root).as_posix()
        if stat.S_ISLNK(status.st_mode):
            yield link(name, str(path.readlink()))
        elif stat.S_ISREG(status.st_mode):
            yield Node(name, status.st_mode, path.read_bytes())
        elif stat.S_ISDIR(status.st_mode):
            yield Node(name, status.st_mode)


def _from_member(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Node:
    owner = (member.uid, member.gid)
    if member.isreg():
        stream = archive.extractfile(member)
        return Node(name, stat.S_IFREG | member.mode, stream.read() if stream else b"", owner=owner)
    if member.issym():
        return Node(name, stat.S_IFLNK | 0o777, member.linkname.encode(), owner=owner)
    if member.isdir():
        return Node(name, stat.S_IFDIR | member.mode, owner=owner)
    kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK if member.isblk() else stat.S_IFIFO
    return Node(name, kind | member.mode, device=(member.devmajor, member.devminor), owner=owner)


def _complete(nodes: Iterable[Node]) -> list[Node]:
    found = {node.path: node for node in nodes}
    for path in list(found):
        for parent in PurePosixPath(path).parents:
            if str(parent) != ".":
                found.setdefault(str(parent), directory(str(parent)))
    # Component by component, so that a directory stands before what is in it.
    return sorted(found.values(), key=lambda node: node.path.split("/"))


def _entry(target: BinaryIO, node: Node | None, number: int, epoch: int) -> None:
    node_path, node = (node.path, node) if node else (_TRAILER, Node("x", 0))
    name = node_path.encode() + b"\0"
    fields = (
        number,
        node.mode,
        *node.owner,
        2 if stat.S_ISDIR(node.mode) else 1,
        epoch,
        len(node.content),
        0,
        0,
        *node.device,
        len(name),
        0,
    )
    header = _MAGIC + "".join(f"{field:08X}" for field in fields)
    target.write(header.encode() + name)
    target.write(bytes(-(len(header) + len(name)) % 4))
    target.write(node.content)
    target.write(bytes(-len(node.content) % 4))
