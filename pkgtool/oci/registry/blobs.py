"""Blobs of one repository: whether they are there, and reading them verified."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator

from pkgtool.oci.documents import Descriptor
from pkgtool.oci.registry.authorization import Scopes
from pkgtool.oci.registry.connections import Answer
from pkgtool.oci.registry.errors import RequestFailed, Unreachable, WrongContent, is_temporary
from pkgtool.oci.registry.transport import Transport
from pkgtool.values import Digest

MAX_SMALL = 64 * 1024 * 1024
"""Bytes of a blob that is read into memory."""


class Blobs:
    """The blob endpoints of `name` for reading (distribution-spec 1.1)."""

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport = transport
        self._name = name
        self._pull: Scopes = frozenset((f"repository:{name}:pull",))

    def has(self, digest: Digest) -> bool:
        reply = self._transport.request("HEAD", self._path(digest), scopes=self._pull, expect=(200, 404))
        return reply.status == 200

    def read(self, descriptor: Descriptor) -> bytes:
        """A small blob. Raises `WrongContent` if it is not what the descriptor says."""
        if descriptor.size > MAX_SMALL:
            raise WrongContent(f"blob {descriptor.digest} is {descriptor.size} bytes long, too much to hold in memory")
        return b"".join(self.stream(descriptor))

    def stream(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob in pieces. A connection that breaks is taken up where it broke (with a Range request).

        Raises `WrongContent` before the end if size or digest are not the descriptor's.
        """
        hasher = hashlib.new(descriptor.digest.algorithm)
        received = fruitless = 0
        last = b""
        while True:
            before = received
            pieces = self._transport.persistently(functools.partial(self._pieces, descriptor, received))
            try:
                for piece in pieces:
                    if last:
                        yield last
                    last = piece
                    hasher.update(piece)
                    received += len(piece)
                if received < descriptor.size:
                    raise Unreachable(f"blob {descriptor.digest} broke off at {received} of {descriptor.size} bytes")
                break
            except RequestFailed as problem:
                fruitless = 0 if received > before else fruitless + 1
                if not is_temporary(problem) or fruitless >= self._transport.settings.retry.attempts:
                    raise
        if hasher.hexdigest() != descriptor.digest.hex:
            raise WrongContent(
                f"{self._transport.address.host}/{self._name}: blob {descriptor.digest} has other content",
                details=(f"received: {descriptor.digest.algorithm}:{hasher.hexdigest()}",),
            )
        if last:
            yield last

    def _pieces(self, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        """The blob from `offset` on: a stream that has been answered, so that only reading it can still fail."""
        answer = self._transport.open(
            self._path(descriptor.digest),
            scopes=self._pull,
            headers={"Range": f"bytes={offset}-"} if offset else {},
        )
        return self._checked(answer, descriptor, offset)

    def _checked(self, answer: Answer, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        what = f"{self._transport.address.host}/{self._name}: blob {descriptor.digest}"
        with answer:
            skip = offset if answer.status == 200 else 0
            announced = answer.headers.get("content-length", "")
            expected = descriptor.size - offset + skip
            if announced.isdigit() and int(announced) != expected:
                raise WrongContent(f"{what} is {announced} bytes long, its descriptor says {expected}")
            for piece in answer.pieces(expected):
                useful = piece[skip:]
                skip -= min(skip, len(piece))
                if useful:
                    yield useful

    def _path(self, digest: Digest) -> str:
        return f"/v2/{self._name}/blobs/{digest}"
