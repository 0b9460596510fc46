"""What refers to a manifest: the referrers API, and the fallback tag of registries without it (distribution-spec 1.1).

The fallback tag `sha256-HEX` holds an index of the referrers. It is read, changed and written without any help from
the registry against lost updates, so: one writer at a time on this machine, a look after writing, another look a
moment later, and once more if somebody else's write took ours away.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

from pkgtool.errors import Interrupted
from pkgtool.oci import locks
from pkgtool.oci.documents import EMPTY, INDEX_TYPES, MAX_DOCUMENT, Descriptor, Index, Manifest
from pkgtool.oci.registry.authorization import Scopes
from pkgtool.oci.registry.errors import Refused, RepositoryUnknown, Unreachable, WrongContent
from pkgtool.oci.registry.links import next_page
from pkgtool.oci.registry.manifests import Manifests
from pkgtool.oci.registry.transport import Transport
from pkgtool.values import Digest

_NO_API = frozenset((400, 404, 405, 501))
_ATTEMPTS = 20
_SETTLE_SECONDS = (0.03, 0.12)
_MAX_PAGES = 1000


def fallback_tag(subject: Digest) -> str:
    """`sha256-HEX`, shortened as the specification says."""
    return f"{subject.algorithm[:32]}-{subject.hex[:64]}"


def describe(content: bytes, media_type: str) -> Descriptor:
    """The descriptor of a referrer as lists of referrers show it: with its artifact type and annotations."""
    if media_type in INDEX_TYPES:
        return Descriptor.of(content, media_type, annotations=Index.parse(content, what="referrer").annotations)
    manifest = Manifest.parse(content, what="referrer", error=WrongContent)
    kind = manifest.artifact_type or manifest.config.media_type
    return Descriptor.of(content, media_type, artifact_type=kind, annotations=manifest.annotations)


class Referrers:
    """The referrers of manifests in the repository `name`."""

    def __init__(self, transport: Transport, name: str, manifests: Manifests) -> None:
        self._transport = transport
        self._name = name
        self._manifests = manifests
        self._pull: Scopes = frozenset((f"repository:{name}:pull",))

    def of(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        """Descriptors with artifact type and annotations, in the registry's order, each once.

        Filtered here, not by the registry: some compare with the wrong field, and what they leave out can't be seen.
        """
        found = self._from_api(subject)
        if found is None:
            found = self._from_tag(subject)
        unique = {descriptor.digest: descriptor for descriptor in found}
        described = [self._described(descriptor) for descriptor in unique.values()]
        return [d for d in described if not artifact_type or d.artifact_type == artifact_type]

    def _described(self, descriptor: Descriptor) -> Descriptor:
        """An entry as it should be: from its manifest, if a registry or an older tool listed it without its kind."""
        if descriptor.artifact_type not in ("", EMPTY) or not descriptor.is_manifest:
            return descriptor
        found = self._manifests.get(descriptor.digest)
        return describe(found[1], found[0].media_type) if found else descriptor

    def add(self, content: bytes, media_type: str, subject: Digest) -> Descriptor:
        """Put a referrer, and enter it into the fallback tag if the registry does not list it by itself."""
        descriptor = describe(content, media_type)
        reply = self._manifests.put(content, media_type)
        if "oci-subject" in reply.headers:
            return descriptor
        listed = self._from_api(subject)
        if listed is None or all(entry.digest != descriptor.digest for entry in listed):
            self._enter(descriptor, subject)
        return descriptor

    # -- the API ----------------------------------------------------------------------------------------

    def _from_api(self, subject: Digest) -> list[Descriptor] | None:
        """The API's list, over all pages; None if the registry has no such API."""
        if self._transport.lacks_referrers:
            return None
        path = f"/v2/{self._name}/referrers/{subject}"
        found: list[Descriptor] = []
        for _ in range(_MAX_PAGES):
            try:
                reply = self._transport.request(
                    "GET", path, scopes=self._pull, expect=(200, *_NO_API), headers={"Accept": ", ".join(INDEX_TYPES)}
                )
            except (Refused, RepositoryUnknown):
                return None
            if reply.status != 200:
                # The API's own errors are JSON, and may be about this repository alone; a plain 404 is the server's.
                self._transport.lacks_referrers = reply.status == 404 and not reply.content.lstrip().startswith(b"{")
                return None
            what = f"the referrers of {subject} in {self._transport.address.host}/{self._name}"
            found += Index.parse(reply.content, what=what, error=WrongContent).manifests
            path = next_page(reply)
            if not path:
                return found
        raise WrongContent(f"{self._transport.address.host} lists referrers without end")

    # -- the fallback tag -------------------------------------------------------------------------------

    def _from_tag(self, subject: Digest) -> list[Descriptor]:
        found = self._manifests.get(fallback_tag(subject))
        if found is None:
            return []
        descriptor, content = found
        if not descriptor.is_index:  # another use of the same tag name
            return []
        return list(Index.parse(content, what=f"tag {fallback_tag(subject)}", error=WrongContent).manifests)

    def _enter(self, descriptor: Descriptor, subject: Digest) -> None:
        tag = fallback_tag(subject)
        with self._alone(tag):
            for _ in range(_ATTEMPTS):
                entries = self._from_tag(subject)
                if any(entry.digest == descriptor.digest for entry in entries):
                    return
                index = Index((*entries, descriptor))
                content = index.encode()
                if len(content) > MAX_DOCUMENT:
                    raise WrongContent(f"{subject} has more referrers than its fallback tag {tag} can hold")
                self._manifests.put(content, index.media_type, tag=tag)
                if self._stays(descriptor, subject):
                    return
        raise Unreachable(
            f"others keep changing {self._transport.address.host}/{self._name}:{tag}",
            hint="run the same command again when they are done",
        )

    def _stays(self, descriptor: Descriptor, subject: Digest) -> bool:
        """Whether the entry is there, now and a moment later: somebody else may write what he read before us."""
        if not self._is_entered(descriptor, subject):
            return False
        if self._transport.cancel.wait(random.uniform(*_SETTLE_SECONDS)):  # noqa: S311
            raise Interrupted()
        return self._is_entered(descriptor, subject)

    def _is_entered(self, descriptor: Descriptor, subject: Digest) -> bool:
        return any(entry.digest == descriptor.digest for entry in self._from_tag(subject))

    @contextmanager
    def _alone(self, tag: str) -> Iterator[None]:
        state = self._transport.settings.state
        if state is None:
            yield
            return
        key = hashlib.sha256(f"{self._transport.address.host}\n{self._name}\n{tag}".encode()).hexdigest()[:32]
        with locks.held(state / "locks" / f"referrers-{key}", cancel=self._transport.cancel):
            yield
