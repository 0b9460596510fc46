"""A repository in memory: the same behaviour as a registry's, without any I/O. It counts what is asked of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from pkgtool.errors import RegistryError
from pkgtool.oci.documents import INDEX_TYPES, Descriptor, Index, Manifest
from pkgtool.oci.registry.referrers import describe
from pkgtool.oci.repository import Repository
from pkgtool.values import Digest


class MemoryRepository:
    def __init__(self, name: str = "memory/repository") -> None:
        self.name = name
        self.lock = threading.RLock()
        self.calls: Counter[str] = Counter()
        self.blobs: dict[Digest, bytes] = {}
        self.manifests: dict[Digest, tuple[str, bytes]] = {}
        self.pointers: dict[str, Digest] = {}

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        self.calls["resolve"] += 1
        return self._found(reference)

    def _found(self, reference: str | Digest) -> Descriptor | None:
        with self.lock:
            digest = reference if isinstance(reference, Digest) else self.pointers.get(reference)
            if digest is None or digest not in self.manifests:
                return None
            media_type, content = self.manifests[digest]
            return Descriptor(media_type, digest, len(content))

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        self.calls["get_manifest"] += 1
        with self.lock:
            found = self._found(reference)
            return (found, self.manifests[found.digest][1]) if found else None

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        self.calls["put_manifest"] += 1
        descriptor = Descriptor.of(content, media_type)
        with self.lock:
            if media_type in INDEX_TYPES:
                absent = [d for d in Index.parse(content, what="index").manifests if d.digest not in self.manifests]
            else:
                absent = [d for d in Manifest.parse(content, what="manifest").blobs if d.digest not in self.blobs]
            if absent:
                raise RegistryError(f"{absent[0].digest} is not there")
            self.manifests[descriptor.digest] = (media_type, content)
            if tag:
                self.pointers[tag] = descriptor.digest
        return descriptor

    def has_blob(self, digest: Digest) -> bool:
        self.calls["has_blob"] += 1
        return digest in self.blobs

    def read_blob(self, descriptor: Descriptor) -> bytes:
        return b"".join(self.stream_blob(descriptor))

    def stream_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        self.calls["stream_blob"] += 1
        content = self.blobs.get(descriptor.digest)
        if content is None:
            raise RegistryError(f"blob {descriptor.digest} is not there")
        if len(content) != descriptor.size or Digest.of(content) != descriptor.digest:
            raise RegistryError(f"blob {descriptor.digest} is damaged")
        yield from (content[i : i + 65536] for i in range(0, len(content), 65536))

    def write_blob(self, content: bytes, media_type: str) -> Descriptor:
        self.calls["write_blob"] += 1
        descriptor = Descriptor.of(content, media_type)
        self.blobs[descriptor.digest] = content
        return descriptor

    def take_blob(self, descriptor: Descriptor, source: Repository, *, mount_from: Sequence[str] = ()) -> int:
        if self.has_blob(descriptor.digest):
            return 0
        content = b"".join(source.stream_blob(descriptor))
        self.calls["take_blob"] += 1
        self.blobs[Digest.of(content)] = content
        return len(content)

    def tags(self) -> list[str]:
        return sorted(self.pointers)

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        with self.lock:
            manifests = dict(self.manifests)
        return [
            found
            for media_type, content in manifests.values()
            if media_type not in INDEX_TYPES
            and (parsed := Manifest.parse(content, what="manifest")).subject
            and parsed.subject.digest == subject
            and (found := describe(content, media_type))
            and artifact_type in ("", found.artifact_type)
        ]

    def attach(self, manifest: Manifest) -> Descriptor:
        return self.put_referrer(manifest.encode(), manifest.media_type)

    def put_referrer(self, content: bytes, media_type: str) -> Descriptor:
        if Manifest.parse(content, what="referrer").subject is None:
            raise RegistryError("no subject")
        return self.put_manifest(content, media_type)

    def delete_tag(self, tag: str) -> None:
        self.pointers.pop(tag, None)
