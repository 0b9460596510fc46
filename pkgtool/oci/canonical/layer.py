"""Writing a canonical layer: sorted, hashed and compressed as it streams, in constant memory."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from pkgtool.oci.canonical import tar_format as tar
from pkgtool.oci.canonical.tree import WHITEOUT, Attributes, ContentReader, Difference, Entry, FileContent
from pkgtool.oci.documents import LAYER_GZIP, Descriptor
from pkgtool.oci.store.layout import Layout
from pkgtool.values import Digest

_CHUNK = 1 << 20
_QUEUED = 8
_GZIP_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))  # no name, no time, system unknown (RFC 1952)
COMPRESSION_LEVEL = 1
"""isal's. One level, one library: the compressed digest depends on them (the diff id, which counts, does not)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in the store: what to fetch, and the digest of what it unpacks to."""

    descriptor: Descriptor
    diff_id: Digest


def write_layer(layout: Layout, difference: Difference, *, epoch: int) -> Layer:
    """Write a difference as a compressed layer into the store. `epoch` is every entry's time."""
    with layout.writer() as blob:
        diff = hashlib.sha256()
        with _Compressed(blob.write) as compressed, _Pipe(diff.update) as hashed:
            buffer = _Buffer(compressed.put, hashed.put)
            for piece in _tar(difference, epoch):
                buffer.add(piece)
            buffer.flush()
        descriptor = Descriptor(LAYER_GZIP, blob.digest, blob.size)
        layout.adopt(blob)
    return Layer(descriptor, Digest("sha256", diff.hexdigest()))


def _tar(difference: Difference, epoch: int) -> Iterator[bytes]:
    entries: dict[str, Entry] = dict(difference.changed)
    for path in difference.removed:
        directory, _, name = path.rpartition("/")
        marker = f"{directory}/{WHITEOUT}{name}" if directory else WHITEOUT + name
        entries[marker] = Entry(Attributes(tar.REGULAR, 0, 0, 0))
    links: dict[FileContent, str] = {}
    with ContentReader() as reader:
        for path in sorted(entries, key=lambda p: p.encode("utf-8", "surrogateescape")):
            yield from _entry(path, entries[path], epoch, links, reader)
    yield tar.END


def _entry(
    path: str, entry: Entry, epoch: int, links: dict[FileContent, str], reader: ContentReader
) -> Iterator[bytes]:
    a = entry.attributes
    kind, size, target = a.kind, a.size, a.target
    content = entry.content if isinstance(entry.content, FileContent) else None
    if content is not None and content.size:
        first = links.setdefault(content, path)
        if first != path:
            kind, size, target, content = tar.HARDLINK, 0, first, None
    header = tar.Header(path, kind, a.mode, a.uid, a.gid, size, epoch, target, a.major, a.minor, dict(a.xattrs))
    yield tar.encode(header)
    if content is not None:
        yield from reader.chunks(content)
        yield tar.padding(size)


class _Buffer:
    """Gathers small pieces into chunks worth handing to other threads."""

    def __init__(self, *receivers: Callable[[bytes], None]) -> None:
        self._receivers = receivers
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= _CHUNK:
            self.flush()

    def flush(self) -> None:
        if self._pieces:
            chunk = b"".join(self._pieces)
            for receive in self._receivers:
                receive(chunk)
            self._pieces, self._size = [], 0


class _Pipe:
    """Chunks worked on in a thread of their own, in order; an error there is raised where chunks are put."""

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self._work = work
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, chunk: bytes) -> None:
        if self._error:
            raise self._error
        self._queue.put(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._error and kind is None:
            raise self._error

    def _run(self) -> None:
        while (chunk := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._work(chunk)
                except BaseException as error:  # noqa: BLE001 - raised in the thread that puts chunks
                    self._error = error


class _Compressed(_Pipe):
    """A gzip stream with a fixed header. The trailer is written when the block ends without an error."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        from isal import isal_zlib

        self._write = write
        self._crc32 = isal_zlib.crc32
        self._crc, self._length = 0, 0
        self._compressor = isal_zlib.compressobj(COMPRESSION_LEVEL, isal_zlib.DEFLATED, -15)
        write(_GZIP_HEADER)
        super().__init__(self._compress)

    def _compress(self, chunk: bytes) -> None:
        self._crc = self._crc32(chunk, self._crc)
        self._length += len(chunk)
        self._write(self._compressor.compress(chunk))

    def __exit__(self, kind: object, *rest: object) -> None:
        super().__exit__(kind, *rest)
        if kind is None:
            self._write(self._compressor.flush())
            self._write(self._crc.to_bytes(4, "little") + (self._length & 0xFFFFFFFF).to_bytes(4, "little"))
