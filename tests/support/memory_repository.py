"""A repository in memory, for tests of what lies beside images. `lies` and `lost` let a test play a bad registry."""

from __future__ import annotations

from collections.abc import Iterator

from pkgtool.errors import RegistryError
from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.values import Digest


class MemoryRepository:
    """Implements `pkgtool.oci.repository.Repository`."""

    def __init__(self, name: str = "registry.example/linuxkit/getty") -> None:
        self.name = name
        self.manifests: dict[Digest, tuple[str, bytes]] = {}
        self.blobs: dict[Digest, bytes] = {}
        self.tagged: dict[str, Digest] = {}
        self.lies: dict[Digest, bytes] = {}
        """Content that is served in place of the true one."""
        self.writes = 0

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        got = self.get_manifest(reference)
        return got[0] if got else None

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        digest = reference if isinstance(reference, Digest) else self.tagged.get(reference)
        if digest is None or digest not in self.manifests:
            return None
        media_type, content = self.manifests[digest]
        return Descriptor(media_type, digest, len(content)), self.lies.get(digest, content)

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        self.writes += 1
        descriptor = Descriptor.of(content, media_type)
        self.manifests[descriptor.digest] = (media_type, content)
        if tag:
            self.tagged[tag] = descriptor.digest
        return descriptor

    def has_blob(self, digest: Digest) -> bool:
        return digest in self.blobs

    def read_blob(self, descriptor: Descriptor) -> bytes:
        try:
            return self.lies.get(descriptor.digest, self.blobs[descriptor.digest])
        except KeyError:
            raise RegistryError(f"{self.name} has no blob {descriptor.digest}") from None

    def stream_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        yield self.read_blob(descriptor)

    def write_blob(self, content: bytes, media_type: str) -> Descriptor:
        descriptor = Descriptor.of(content, media_type)
        if descriptor.digest not in self.blobs:
            self.writes += 1
            self.blobs[descriptor.digest] = content
        return descriptor

    def tags(self) -> list[str]:
        return sorted(self.tagged)

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        found = []
        for digest, (media_type, content) in self.manifests.items():
            if b'"layers"' not in content:
                continue
            manifest = Manifest.parse(content, what=str(digest))
            if manifest.subject and manifest.subject.digest == subject:
                kind = manifest.artifact_type or manifest.config.media_type
                if not artifact_type or kind == artifact_type:
                    size = len(content)
                    found.append(
                        Descriptor(media_type, digest, size, artifact_type=kind, annotations=manifest.annotations)
                    )
        return found

    def attach(self, manifest: Manifest) -> Descriptor:
        return self.put_manifest(manifest.encode(), manifest.media_type)
