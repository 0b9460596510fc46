"""A repository whose content is read once: for a piece of work that looks at the same things again and again.

Signing asks of every statement whether it lies beside the image already, and reads for it all that lies there. What was
read for the first statement answers for the others as well. Nothing is kept beyond the work that it was made for: the
next run reads everything again, so that what was lost or damaged in the registry is noticed then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.oci.once import Once
from pkgtool.oci.repository import Repository
from pkgtool.values import Digest

MAX_KEPT = 64 * 1024 * 1024
"""Bytes of manifests and blobs that are kept in memory; what comes after them is read each time."""


Got = tuple[Descriptor, bytes]


class ReadOnce:
    """`behind`, with manifests, blobs and lists of referrers remembered from the first time that they were read.

    What is written goes through at once, and what it changes (a tag, a list of referrers) is read anew afterwards. What
    others change in the meantime is not seen: who must see it, such as before writing a tag that others write too, asks
    `fresh`. Errors are not remembered. Several threads may use it.
    """

    def __init__(self, behind: Repository, *, limit: int = MAX_KEPT) -> None:
        """`limit` is the number of bytes of manifests and blobs that may be kept."""
        self.behind = behind
        self._limit = limit
        self._kept = 0
        self._lock = threading.Lock()
        self._manifests: Once[str | Digest, Got | None] = Once()
        self._blobs: Once[tuple[Digest, int], bytes] = Once()
        self._written: Once[Digest, Descriptor] = Once()
        self._referrers: Once[Digest, list[Descriptor]] = Once()

    @property
    def name(self) -> str:
        return self.behind.name

    # -- remembered -------------------------------------------------------------------------------------

    def get_manifest(self, reference: str | Digest) -> Got | None:
        return self._manifests.get(
            reference,
            lambda: self.behind.get_manifest(reference),
            keep=lambda got: got is None or self._has_room(len(got[1])),
        )

    def read_blob(self, descriptor: Descriptor) -> bytes:
        # By digest and size: a descriptor with a wrong size is an error, whatever was read under another one.
        key = (descriptor.digest, descriptor.size)
        return self._blobs.get(
            key, lambda: self.behind.read_blob(descriptor), keep=lambda content: self._has_room(len(content))
        )

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        found = self._referrers.get(subject, lambda: self.behind.referrers(subject))
        return [each for each in found if not artifact_type or each.artifact_type == artifact_type]

    def _has_room(self, size: int) -> bool:
        with self._lock:
            if self._kept + size > self._limit:
                return False
            self._kept += size
            return True

    # -- passed through ---------------------------------------------------------------------------------

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        return self.behind.resolve(reference)

    def has_blob(self, digest: Digest) -> bool:
        return self.behind.has_blob(digest)

    def stream_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        return self.behind.stream_blob(descriptor)

    def tags(self) -> list[str]:
        return self.behind.tags()

    def write_blob(self, content: bytes, media_type: str) -> Descriptor:
        """Once for each content: what was just written is there, and need not be asked for (all bundles share one)."""
        descriptor = Descriptor.of(content, media_type)
        self._written.get(descriptor.digest, lambda: self.behind.write_blob(content, media_type))
        return descriptor

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        try:
            return self.behind.put_manifest(content, media_type, tag=tag)
        finally:  # an answer that was lost says nothing about what was written
            self._manifests.forget(tag or Digest.of(content))

    def attach(self, manifest: Manifest) -> Descriptor:
        try:
            return self.behind.attach(manifest)
        finally:
            if manifest.subject:
                self._referrers.forget(manifest.subject.digest)


def fresh(repository: Repository) -> Repository:
    """The repository as it is now, without what may be remembered of it."""
    return repository.behind if isinstance(repository, ReadOnce) else repository
