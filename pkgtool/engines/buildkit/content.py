"""The content that a worker sees during one build, by digest: parents' blobs to read, and room for the result.

Both are one OCI image layout in the build's scratch directory, in which the parents' blobs are links into the store.
So a worker sees nothing else of the store; and a blob of a parent that it would send back is there already, which
saves sending it. The service is containerd's (api/services/content/v1/content.proto), which BuildKit uses for
`oci-layout` contexts and for results.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pkgtool.engines.buildkit.wire import Message, message
from pkgtool.engines.interface import Parent
from pkgtool.oci.store.layout import Layout
from pkgtool.values import Digest

if TYPE_CHECKING:
    import grpc

SERVICE = "containerd.services.content.v1.Content"
_CHUNK = 1 << 20
_WRITE, _COMMIT = 1, 2


class Exchange:
    """The layout of one build in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._blobs = directory / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)
        self._incoming = directory / "incoming"
        self._incoming.mkdir()
        self.layout = Layout(directory, temporary=lambda: self._incoming, lock=directory / "lock")

    def offer(self, parents: Iterable[Parent], store: Layout) -> None:
        """Let the worker read images of the store. Raises `StoreError` if one is absent or damaged."""
        for parent in parents:
            blobs = store.manifest(parent.manifest).blobs
            for digest in {parent.manifest.digest, *(blob.digest for blob in blobs)}:
                link = self._blobs / digest.hex
                if not link.is_symlink():
                    store.verify_blob(digest)
                    link.symlink_to(store.blob_path(digest).absolute())

    # -- what the worker calls --------------------------------------------------------------------------

    def info(self, request: bytes, call: grpc.ServicerContext) -> bytes:
        """Content.Info: the size of a blob."""
        digest = Message(request).text(1)
        size = self._path(digest, call).stat().st_size
        return message((1, message((1, digest), (2, size))))

    def read(self, request: bytes, call: grpc.ServicerContext) -> Iterator[bytes]:
        """Content.Read: part of a blob; a size of 0 means up to its end."""
        asked = Message(request)
        offset, left = asked.integer(2), asked.integer(3)
        with self._path(asked.text(1), call).open("rb") as file:
            file.seek(offset)
            while chunk := file.read(min(left or _CHUNK, _CHUNK)):
                yield message((1, offset), (2, chunk))
                offset += len(chunk)
                if left:
                    left -= len(chunk)
                    if not left:
                        return

    def write(self, requests: Iterator[bytes], call: grpc.ServicerContext) -> Iterator[bytes]:
        """Content.Write: take in one blob. What is there already is not sent again."""
        import grpc

        with tempfile.NamedTemporaryFile(dir=self._incoming, delete=False) as file:
            writing = _Writing(file)
            for raw in requests:
                request = Message(raw)
                expected = request.text(4)
                if expected and self._there(expected):
                    call.abort(grpc.StatusCode.ALREADY_EXISTS, f"{expected} is there already")
                problem = writing.take(request)
                if problem:
                    call.abort(grpc.StatusCode.OUT_OF_RANGE, problem)
                action = request.integer(1)
                if action == _COMMIT:
                    if expected and expected != writing.digest:
                        call.abort(
                            grpc.StatusCode.FAILED_PRECONDITION, f"these bytes are {writing.digest}, not {expected}"
                        )
                    file.close()
                    Path(file.name).rename(self._blobs / Digest.parse(writing.digest).hex)
                yield writing.state(action)
                if action == _COMMIT:
                    return

    def _there(self, digest: str) -> bool:
        try:
            return self.layout.blob_path(Digest.parse(digest)).exists()
        except ValueError:
            return False

    def _path(self, digest: str, call: grpc.ServicerContext) -> Path:
        import grpc

        if not self._there(digest):
            call.abort(grpc.StatusCode.NOT_FOUND, f"{digest} is not part of this build")
        return self.layout.blob_path(Digest.parse(digest))


class _Writing:
    """A blob that arrives, with its hash so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._offset = 0
        self._total = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def take(self, request: Message) -> str:
        """Append what a request brings. Returns why that can't be, or nothing."""
        self._total = request.integer(3) or self._total
        if request.integer(1) not in (_WRITE, _COMMIT):
            return ""
        if request.integer(5) != self._offset:
            return f"the next byte is {self._offset}, not {request.integer(5)}"
        content = request.content(6)
        self._file.write(content)
        self._hash.update(content)
        self._offset += len(content)
        return ""

    def state(self, action: int) -> bytes:
        """The answer to a request."""
        return message((1, action), (4, self._offset), (5, self._total), (6, self.digest))
