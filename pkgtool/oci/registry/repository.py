"""A registry, and one of its repositories as the `Target` that copying, publishing and signing work on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from pkgtool.cancel import Cancellation
from pkgtool.errors import RegistryError
from pkgtool.events import Sink, ignore
from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.oci.registry.address import Address
from pkgtool.oci.registry.blobs import Blobs
from pkgtool.oci.registry.body import Bytes, Content
from pkgtool.oci.registry.errors import RepositoryUnknown
from pkgtool.oci.registry.manifests import Manifests
from pkgtool.oci.registry.referrers import Referrers
from pkgtool.oci.registry.settings import RegistrySettings
from pkgtool.oci.registry.source import content_of
from pkgtool.oci.registry.transport import Transport
from pkgtool.oci.registry.unfinished import Unfinished
from pkgtool.oci.registry.upload import Upload
from pkgtool.oci.repository import Repository
from pkgtool.values import Digest


class Registry:
    """One registry: its connections, credentials and what has been learnt about it. Close it, or use it as a context.

    Making the object does nothing; threads may share it.
    """

    def __init__(
        self,
        address: Address | str,
        settings: RegistrySettings | None = None,
        *,
        cancel: Cancellation | None = None,
        sink: Sink = ignore,
    ) -> None:
        self.address = address if isinstance(address, Address) else Address.parse(address)
        self.settings = settings or RegistrySettings()
        self.transport = Transport(self.address, self.settings, cancel=cancel, sink=sink)
        self.unfinished = Unfinished(self.settings.state)
        self._lock = threading.Lock()
        self._busy: dict[Digest, threading.Lock] = {}
        self._places: dict[Digest, list[str]] = {}
        self.uploads = threading.BoundedSemaphore(self.settings.parallel)
        """Held while a blob is sent: several packages are pushed at once, and share this registry's limit."""

    def repository(self, name: str) -> RegistryRepository:
        """The repository `name` (below the address's prefix), such as `linuxkit/getty`."""
        return RegistryRepository(self, self.address.repository(name))

    def check(self) -> None:
        """Ask whether this is a registry that we may talk to; raises the `RegistryError` that says why not."""
        self.transport.request("GET", "/v2/", scopes=frozenset(), expect=(200,))

    def busy(self, digest: Digest) -> threading.Lock:
        """Held while a blob is brought here: a second repository that needs it waits, and mounts it then."""
        with self._lock:
            return self._busy.setdefault(digest, threading.Lock())

    def note_place(self, digest: Digest, name: str) -> None:
        """Remember that a repository has the blob: a place to mount it from, never a reason not to ask."""
        with self._lock:
            places = self._places.setdefault(digest, [])
            if name not in places:
                places.append(name)

    def places(self, digest: Digest) -> list[str]:
        with self._lock:
            return list(self._places.get(digest, ()))

    def close(self) -> None:
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RegistryRepository:
    """One repository of a registry (see `pkgtool.oci.repository.Target`)."""

    def __init__(self, registry: Registry, path: str) -> None:
        self.registry = registry
        self.path = path
        self._manifests = Manifests(registry.transport, path)
        self._blobs = Blobs(registry.transport, path)
        self._referrers = Referrers(registry.transport, path, self._manifests)

    @property
    def name(self) -> str:
        return f"{self.registry.address.host}/{self.path}"

    def __repr__(self) -> str:
        return f"<repository {self.name}>"

    # -- reading ----------------------------------------------------------------------------------------

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        return self._manifests.resolve(reference)

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        return self._manifests.get(reference)

    def has_blob(self, digest: Digest) -> bool:
        present = self._blobs.has(digest)
        if present:
            self.registry.note_place(digest, self.path)
        return present

    def read_blob(self, descriptor: Descriptor) -> bytes:
        return self._blobs.read(descriptor)

    def stream_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        return self._blobs.stream(descriptor)

    def tags(self) -> list[str]:
        try:
            return self._manifests.tags()
        except RepositoryUnknown:
            return []

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        return self._referrers.of(subject, artifact_type=artifact_type)

    # -- writing ----------------------------------------------------------------------------------------

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        self._manifests.put(content, media_type, tag=tag)
        return Descriptor.of(content, media_type)

    def write_blob(self, content: bytes, media_type: str) -> Descriptor:
        descriptor = Descriptor.of(content, media_type)
        self._bring(descriptor, Bytes(content), ())
        return descriptor

    def take_blob(self, descriptor: Descriptor, source: Repository, *, mount_from: Sequence[str] = ()) -> int:
        mine = self.registry.address
        candidates = [mine.repository(name) for name in mount_from]
        if isinstance(source, RegistryRepository) and source.registry.address.host == mine.host:
            candidates.insert(0, source.path)
        return self._bring(descriptor, content_of(source, descriptor), candidates)

    def attach(self, manifest: Manifest) -> Descriptor:
        return self.put_referrer(manifest.encode(), manifest.media_type)

    def put_referrer(self, content: bytes, media_type: str) -> Descriptor:
        manifest = Manifest.parse(content, what="referrer", error=RegistryError)
        if manifest.subject is None:
            raise RegistryError(f"manifest {Digest.of(content)} refers to nothing: it has no subject")
        return self._referrers.add(content, media_type, manifest.subject.digest)

    def delete_tag(self, tag: str) -> None:
        self._manifests.delete(tag)

    def delete_manifest(self, digest: Digest) -> bool:
        """Delete a manifest by digest, and with it every tag on it; whether it was there."""
        return self._manifests.delete(digest)

    def _bring(self, descriptor: Descriptor, content: Content, candidates: Sequence[str]) -> int:
        with self.registry.busy(descriptor.digest):
            if self.has_blob(descriptor.digest):
                return 0
            known = [place for place in self.registry.places(descriptor.digest) if place != self.path]
            places = list(dict.fromkeys([*known, *(place for place in candidates if place != self.path)]))
            upload = Upload(self.registry.transport, self.path, descriptor, content, self.registry.unfinished)
            with self.registry.uploads:
                sent = upload.run(places)
            self.registry.note_place(descriptor.digest, self.path)
            return sent
