"""A blob of any repository as content that can be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from pkgtool.oci.documents import Descriptor
from pkgtool.oci.registry.body import Content, File
from pkgtool.oci.repository import Repository


@runtime_checkable
class HasFiles(Protocol):
    """A repository whose blobs are files."""

    def blob_file(self, descriptor: Descriptor) -> Path: ...


@dataclass(frozen=True, slots=True)
class _Streamed:
    """A blob that has to be streamed; from a later offset, what comes before is read and dropped."""

    source: Repository
    descriptor: Descriptor

    def open(self, offset: int) -> Iterator[bytes]:
        skip = offset
        for piece in self.source.stream_blob(self.descriptor):
            if len(piece) > skip:
                yield piece[skip:]
            skip -= min(skip, len(piece))


def content_of(source: Repository, descriptor: Descriptor) -> Content:
    """Raises `StoreError` when opened, if the blob is not there."""
    return File(source.blob_file(descriptor)) if isinstance(source, HasFiles) else _Streamed(source, descriptor)
