"""Manifests of one repository: look them up, read them verified, put them, list and delete tags."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from pkgtool.errors import RegistryError
from pkgtool.oci.documents import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX,
    INDEX_TYPES,
    MANIFEST,
    MANIFEST_TYPES,
    MAX_DOCUMENT,
    Descriptor,
    decode,
)
from pkgtool.oci.registry.authorization import Scopes
from pkgtool.oci.registry.errors import Incomplete, Refused, WrongContent
from pkgtool.oci.registry.links import next_page
from pkgtool.oci.registry.transport import Reply, Transport
from pkgtool.values import Digest

ACCEPT = ", ".join((INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))
_PAGE = 1000
_MAX_TAGS = 1_000_000


class Manifests:
    """The manifest and tag endpoints of `name` (distribution-spec 1.1)."""

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport = transport
        self._name = name
        self._pull: Scopes = frozenset((f"repository:{name}:pull",))
        self._push: Scopes = frozenset((f"repository:{name}:pull,push",))
        self._delete: Scopes = frozenset((f"repository:{name}:delete,pull,push",))

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        """The descriptor by one HEAD; by a GET from registries whose HEAD leaves out what is needed."""
        reply = self._transport.request(
            "HEAD", self._path(reference), scopes=self._pull, expect=(200, 404), headers={"Accept": ACCEPT}
        )
        if reply.status == 404:
            return None
        media_type = _media_type(reply.headers)
        size = reply.headers.get("content-length", "")
        named = reply.headers.get("docker-content-digest", "")
        if media_type not in MANIFEST_TYPES | INDEX_TYPES or not size.isdigit() or not named:
            found = self.get(reference)
            return found[0] if found else None
        digest = self._named(named, reference)
        return Descriptor(media_type, digest, int(size))

    def get(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        """A manifest's bytes, verified against the digest asked for and the one that the registry names."""
        reply = self._transport.request(
            "GET", self._path(reference), scopes=self._pull, expect=(200, 404), headers={"Accept": ACCEPT}
        )
        if reply.status == 404:
            return None
        what = f"{self._transport.address.host}/{self._name}: {_shown(reference)}"
        for expected in self._expected(reply, reference):
            actual = hashlib.new(expected.algorithm, reply.content).hexdigest()
            if actual != expected.hex:
                raise WrongContent(
                    f"{what} has other content than its digest says",
                    details=(f"expected: {expected}", f"received: {expected.algorithm}:{actual}"),
                )
        media_type = _document_type(reply, what)
        digest = reference if isinstance(reference, Digest) else Digest.of(reply.content)
        return Descriptor(media_type, digest, len(reply.content)), reply.content

    def put(self, content: bytes, media_type: str, *, tag: str = "") -> Reply:
        """Put a manifest under its digest, or under a tag. The registry must name the digest that we know it has."""
        digest = Digest.of(content)
        if len(content) > MAX_DOCUMENT:
            raise RegistryError(f"manifest {digest} is {len(content)} bytes long; registries need not take it")
        reply = self._transport.persistently(functools.partial(self._put, content, media_type, str(tag or digest)))
        named = reply.headers.get("docker-content-digest", "")
        if named:
            self._named(named, digest)
        return reply

    def _put(self, content: bytes, media_type: str, reference: str) -> Reply:
        try:
            return self._transport.request(
                "PUT",
                self._path(reference),
                scopes=self._push,
                expect=(200, 201, 202),
                headers={"Content-Type": media_type},
                body=content,
                retry=False,
            )
        except Refused as problem:
            if "MANIFEST_BLOB_UNKNOWN" not in problem.codes:
                raise
            raise Incomplete(
                f"{self._transport.address.host}/{self._name} misses what manifest {reference} names",
                details=problem.details,
                hint="run the same command again: it sends what is missing",
            ) from problem

    def delete(self, reference: str | Digest) -> bool:
        """Delete a tag or manifest; whether it was there."""
        reply = self._transport.request(
            "DELETE", self._path(reference), scopes=self._delete, expect=(200, 202, 204, 404)
        )
        return reply.status != 404

    def tags(self) -> list[str]:
        """All tags, sorted, over all pages; none for a repository that does not exist."""
        found: set[str] = set()
        path = f"/v2/{self._name}/tags/list?{urlencode({'n': _PAGE})}"
        seen: set[str] = set()
        while path and path not in seen and len(found) < _MAX_TAGS:
            seen.add(path)
            reply = self._transport.request("GET", path, scopes=self._pull, expect=(200, 404))
            if reply.status == 404:
                break
            found.update(self._tags_of(reply))
            path = next_page(reply)
        return sorted(found)

    def _tags_of(self, reply: Reply) -> list[str]:
        what = f"the tag list of {self._transport.address.host}/{self._name}"
        tags = decode(reply.content, what=what, error=WrongContent).get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise WrongContent(f"{what} is not a list of tags")
        return tags

    def _path(self, reference: str | Digest) -> str:
        return f"/v2/{self._name}/manifests/{quote(str(reference), safe=':')}"

    def _expected(self, reply: Reply, reference: str | Digest) -> set[Digest]:
        expected = {reference} if isinstance(reference, Digest) else set()
        named = reply.headers.get("docker-content-digest", "")
        return expected | {self._named(named, reference)} if named else expected

    def _named(self, text: str, reference: str | Digest) -> Digest:
        """The digest of a Docker-Content-Digest header, which must be the one asked for."""
        host = self._transport.address.host
        try:
            digest = Digest.parse(text)
        except ValueError as problem:
            raise WrongContent(f"{host} named a digest that is none for {self._name}: {problem}") from problem
        if isinstance(reference, Digest) and reference.algorithm == digest.algorithm and reference != digest:
            raise WrongContent(
                f"{host} has other content for {self._name} than its digest says",
                details=(f"expected: {reference}", f"received: {digest}"),
            )
        return digest


def _shown(reference: str | Digest) -> str:
    return f"manifest {reference}" if isinstance(reference, Digest) else f"tag {reference}"


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _document_type(reply: Reply, what: str) -> str:
    """The media type: the document's own, which must be the header's if that one is a manifest's type at all."""
    known = MANIFEST_TYPES | INDEX_TYPES
    document = decode(reply.content, what=what, error=WrongContent)
    header = _media_type(reply.headers)
    own = document.get("mediaType") or (header if header in known else "")
    if not own:
        own = INDEX if "manifests" in document else MANIFEST if "config" in document else ""
    if own not in known:
        raise WrongContent(
            f"{what} is of a kind that is not supported: {own or header or 'no media type'}",
            hint="publish it again as an OCI image; Docker's schema 1 has been retired",
        )
    if header in known and header != own:
        raise WrongContent(f"{what} is served as {header} and says it is {own}")
    return str(own)
