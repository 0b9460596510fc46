"""Writing a canonical layer: sorted, hashed and compressed as it streams, in constant memory."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from pkgtool.oci.canonical import tar_format as tar
from pkgtool.oci.canonical.gzip_members import MEMBER, GzipMembers
from pkgtool.oci.canonical.tree import WHITEOUT, Attributes, ContentReader, Difference, Entry, FileContent
from pkgtool.oci.documents import LAYER_GZIP, Descriptor
from pkgtool.oci.store.layout import Layout
from pkgtool.values import Digest

_CHUNK = 4 * MEMBER
_QUEUED = 8


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in the store: what to fetch, and the digest of what it unpacks to."""

    descriptor: Descriptor
    diff_id: Digest


def write_layer(layout: Layout, difference: Difference, *, epoch: int) -> Layer:
    """Write a difference as a compressed layer into the store. `epoch` is every entry's time."""
    with layout.writer() as blob:
        with GzipMembers(blob.write) as compressed, _DiffId() as diff_id:
            for chunk in _chunks(_tar(difference, epoch)):
                compressed.put(chunk)
                diff_id.put(chunk)
        descriptor = Descriptor(LAYER_GZIP, blob.digest, blob.size)
        layout.adopt(blob)
    return Layer(descriptor, diff_id.value())


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


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """All bytes of the pieces in chunks of one size, of which the last may be shorter."""
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            whole = b"".join(gathered)
            end = size - size % _CHUNK
            for start in range(0, end, _CHUNK):
                yield whole[start : start + _CHUNK]
            gathered, size = [whole[end:]], size - end
    if size:
        yield b"".join(gathered)


class _DiffId:
    """The digest of all chunks, computed in a thread of its own, so that nobody waits for it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, chunk: bytes) -> None:
        self._queue.put(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()

    def value(self) -> Digest:
        """The digest, once the block has ended."""
        return Digest("sha256", self._hash.hexdigest())

    def _run(self) -> None:
        while (chunk := self._queue.get()) is not None:
            self._hash.update(chunk)
