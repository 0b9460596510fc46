"""What is sent: bytes, or a part of a blob that can be read again if the request has to be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pkgtool.errors import StoreError

PIECE = 1024 * 1024
"""Bytes handed to the connection at a time."""


class Content(Protocol):
    """A blob that can be opened at any place, as often as needed."""

    def open(self, offset: int) -> Iterator[bytes]:
        """Its bytes from `offset` to the end, in pieces."""
        ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """Content in memory."""

    content: bytes = field(repr=False)

    def open(self, offset: int) -> Iterator[bytes]:
        for start in range(offset, len(self.content), PIECE):
            yield self.content[start : start + PIECE]


@dataclass(frozen=True, slots=True)
class File:
    """Content in a file. It is not verified here: the registry refuses what does not have its digest."""

    path: Path

    def open(self, offset: int) -> Iterator[bytes]:
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(offset)
                while piece := file.read(PIECE):
                    yield piece
        except OSError as problem:
            raise StoreError(f"{self.path} can't be read: {problem.strerror}") from problem


@dataclass(frozen=True, slots=True)
class Part:
    """`size` bytes of a content from `offset` on: the body of one request."""

    content: Content
    offset: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        left = self.size
        if not left:
            return
        for piece in self.content.open(self.offset):
            yield piece[:left]
            left -= min(left, len(piece))
            if not left:
                return
        raise StoreError(
            f"a blob ended {left} bytes early while it was sent",
            hint="'pkgtool store verify --repair' removes what is damaged, and the next build makes it again",
        )
