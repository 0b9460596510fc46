"""What signing, attesting and copying need of a place that holds manifests: the same for every such place.

A registry's repository, the local store, and the in-memory one of the tests are all this, and pass the same
contract tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.values import Digest


class Repository(Protocol):
    """Manifests by tag and digest, blobs by digest, and what refers to a manifest (OCI distribution-spec 1.1)."""

    @property
    def name(self) -> str:
        """How people know it: `localhost:5000/pkgtool/getty`."""
        ...

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        """The descriptor of a tag or digest, or None if it is certainly not there.

        Raises `RegistryError` if the place can't answer: silence is never absence.
        """
        ...

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        """A manifest or index, its bytes verified against its digest; None if it is certainly not there."""
        ...

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        """Store a manifest by digest and, if given, point `tag` at it. Everything it names must be there."""
        ...

    def has_blob(self, digest: Digest) -> bool: ...

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """A small blob, verified."""
        ...

    def stream_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob in pieces; raises before the iterator ends if size or digest are not the descriptor's."""
        ...

    def write_blob(self, content: bytes, media_type: str) -> Descriptor:
        """Store a small blob (a no-op if it is there)."""
        ...

    def tags(self) -> list[str]:
        """All tags, sorted."""
        ...

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        """What refers to `subject` (through the referrers API, or the fallback tag), with annotations."""
        ...

    def attach(self, manifest: Manifest) -> Descriptor:
        """Store a manifest that has a `subject`, so that `referrers` finds it."""
        ...


class Target(Repository, Protocol):
    """A repository that images are copied into."""

    def take_blob(self, descriptor: Descriptor, source: Repository, *, mount_from: Sequence[str] = ()) -> int:
        """Make a blob of `source` present here, whole and verified; a no-op if it is there.

        `mount_from` names repositories of the same registry that may hold it already. Answers the bytes that were
        transferred: 0 if it was there or could be mounted.
        """
        ...

    def put_referrer(self, content: bytes, media_type: str) -> Descriptor:
        """Store the bytes of a manifest that has a `subject` as they are, so that `referrers` finds it."""
        ...

    def delete_tag(self, tag: str) -> None:
        """Remove a tag, not what it points at. Raises `RegistryError` where that is not allowed."""
        ...
