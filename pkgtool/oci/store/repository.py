"""An OCI image layout as repositories: what is in the store, or in an exported directory, as `Target`s.

References in index.json are `NAME:TAG`. A manifest with a subject stands in index.json without a name, with its
artifact type and annotations; oras reads and writes referrers in a layout the same way.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pkgtool.errors import StoreError
from pkgtool.oci import files
from pkgtool.oci.documents import INDEX, INDEX_TYPES, MANIFEST, MAX_DOCUMENT, Descriptor, Index, Manifest, decode
from pkgtool.oci.repository import Repository
from pkgtool.oci.store.layout import Layout
from pkgtool.values import Digest, is_tag


class StoreRepository:
    """The repository `name` of a layout (see `pkgtool.oci.repository.Target`). Whoever writes holds the store."""

    def __init__(self, layout: Layout, name: str) -> None:
        self._layout = layout
        self._name = name
        self._lock = threading.Lock()
        self._subjects: dict[Digest, Digest | None] = {}

    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<{self._name} in {self._layout.root}>"

    # -- reading ----------------------------------------------------------------------------------------

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        if isinstance(reference, Digest):
            found = self._by_digest(reference)
            return found[0] if found else None
        descriptor = self._layout.resolve(f"{self._name}:{reference}")
        if descriptor is None or not self._layout.has(descriptor):
            return None
        return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        if isinstance(reference, Digest):
            return self._by_digest(reference)
        descriptor = self.resolve(reference)
        return (descriptor, self._layout.read(descriptor)) if descriptor else None

    def has_blob(self, digest: Digest) -> bool:
        return self._layout.blob_path(digest).exists()

    def read_blob(self, descriptor: Descriptor) -> bytes:
        return self._layout.read(descriptor)

    def stream_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        with self._layout.open(descriptor.digest) as file:
            hasher = hashlib.new(descriptor.digest.algorithm)
            size = 0
            last = b""
            while piece := file.read(files.CHUNK):
                if last:
                    yield last
                last = piece
                size += len(piece)
                hasher.update(piece)
        if size != descriptor.size or hasher.hexdigest() != descriptor.digest.hex:
            self._layout.verify_blob(descriptor.digest)
            raise StoreError(f"blob {descriptor.digest} is {size} bytes long, its descriptor says {descriptor.size}")
        if last:
            yield last

    def blob_file(self, descriptor: Descriptor) -> Path:
        """The file of a blob. Raises `StoreError` if it is absent or has another size."""
        if not self._layout.has(descriptor):
            self._layout.verify_blob(descriptor.digest)
            raise StoreError(f"blob {descriptor.digest} has another size than its descriptor says")
        return self._layout.blob_path(descriptor.digest)

    def tags(self) -> list[str]:
        start = f"{self._name}:"
        return sorted(name.removeprefix(start) for name in self._layout.references() if name.startswith(start))

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        return [
            entry
            for entry in self._layout.unnamed()
            if (not artifact_type or entry.artifact_type == artifact_type) and self._subject(entry) == subject
        ]

    # -- writing ----------------------------------------------------------------------------------------

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        self._check_complete(content, media_type)
        descriptor = self._layout.write(content, media_type)
        if tag:
            if not is_tag(tag):
                raise StoreError(f"{tag!r} is not a tag")
            self._layout.update_references({f"{self._name}:{tag}": descriptor})
        return descriptor

    def write_blob(self, content: bytes, media_type: str) -> Descriptor:
        return self._layout.write(content, media_type)

    def take_blob(self, descriptor: Descriptor, source: Repository, *, mount_from: Sequence[str] = ()) -> int:  # noqa: ARG002
        if self._layout.has(descriptor):
            return 0
        with self._layout.writer() as writer:
            for piece in source.stream_blob(descriptor):
                writer.write(piece)
            if writer.digest != descriptor.digest:
                raise StoreError(f"blob {descriptor.digest} came with other content ({writer.digest})")
            self._layout.adopt(writer)
        return descriptor.size

    def attach(self, manifest: Manifest) -> Descriptor:
        return self.put_referrer(manifest.encode(), manifest.media_type)

    def put_referrer(self, content: bytes, media_type: str) -> Descriptor:
        manifest = Manifest.parse(content, what="referrer")
        if manifest.subject is None:
            raise StoreError(f"manifest {Digest.of(content)} refers to nothing: it has no subject")
        descriptor = self.put_manifest(content, media_type)
        kind = manifest.artifact_type or manifest.config.media_type
        entry = Descriptor.of(content, media_type, artifact_type=kind, annotations=manifest.annotations)
        self._layout.add_unnamed(entry)
        return descriptor

    def delete_tag(self, tag: str) -> None:
        self._layout.update_references({f"{self._name}:{tag}": None})

    # -- inside -----------------------------------------------------------------------------------------

    def _by_digest(self, digest: Digest) -> tuple[Descriptor, bytes] | None:
        """A manifest by its digest alone: what is no manifest counts as absent."""
        path = self._layout.blob_path(digest)
        try:
            size = path.stat().st_size
        except OSError:
            return None
        if size > MAX_DOCUMENT:
            return None
        content = self._layout.read(Descriptor("", digest, size))
        try:
            document = decode(content, what=f"blob {digest}")
        except StoreError:
            return None
        kind = INDEX if "manifests" in document else MANIFEST if "layers" in document else ""
        return (Descriptor(document.get("mediaType", kind), digest, size), content) if kind else None

    def _subject(self, entry: Descriptor) -> Digest | None:
        """What a manifest refers to; manifests don't change, so each is read once."""
        with self._lock:
            if entry.digest in self._subjects:
                return self._subjects[entry.digest]
        subject = None
        if entry.is_manifest and self._layout.has(entry):
            found = self._layout.manifest(entry).subject
            subject = found.digest if found else None
        with self._lock:
            self._subjects[entry.digest] = subject
        return subject

    def _check_complete(self, content: bytes, media_type: str) -> None:
        what = f"manifest {Digest.of(content)}"
        children = (
            Index.parse(content, what=what).manifests
            if media_type in INDEX_TYPES
            else Manifest.parse(content, what=what).blobs
        )
        for child in children:
            if not self._layout.has(child):
                raise StoreError(f"{what} needs {child.digest}, which is not there")
