"""An image of the store as the files of an initramfs."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from pkgtool.kernel.boot.cpio import Node
from pkgtool.oci.canonical import tar_format
from pkgtool.oci.canonical.contents import file_system
from pkgtool.oci.canonical.extract import read_files
from pkgtool.oci.canonical.image import layers_of
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store.layout import Layout

_TYPES = {
    tar_format.REGULAR: stat.S_IFREG,
    tar_format.SYMLINK: stat.S_IFLNK,
    tar_format.CHARACTER: stat.S_IFCHR,
    tar_format.BLOCK_DEVICE: stat.S_IFBLK,
    tar_format.DIRECTORY: stat.S_IFDIR,
    tar_format.FIFO: stat.S_IFIFO,
}


def image_nodes(layout: Layout, manifest: Descriptor) -> Iterator[Node]:
    """The files of an image with their modes and owners. Raises `StoreError` if it is damaged."""
    contents = {path: stream.read() for path, stream in read_files(layout, manifest, lambda _: True)}
    for path, entry in file_system(layout, layers_of(layout, manifest)).items():
        a = entry.attributes
        if path and a.kind in _TYPES:
            content = a.target.encode() if a.kind == tar_format.SYMLINK else contents.get(path, b"")
            mode = _TYPES[a.kind] | (0o777 if a.kind == tar_format.SYMLINK else a.mode)
            yield Node(path, mode, content, (a.major, a.minor), (a.uid, a.gid))
