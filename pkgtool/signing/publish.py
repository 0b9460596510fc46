"""Putting signatures and attestations beside an image, in both formats, once.

Both formats, because clients differ in which they read, and because one bundle of anybody's makes cosign 3 look at
bundles alone. On the index and on every platform's manifest, because some clients resolve one and some the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pkgtool.errors import SigningError, VerificationError
from pkgtool.oci.documents import CONFIG, EMPTY, Descriptor, Index, Manifest
from pkgtool.oci.read_once import fresh
from pkgtool.oci.repository import Repository
from pkgtool.signing.attestor import Attestor, ClassicLayer
from pkgtool.signing.formats import bundle, classic
from pkgtool.signing.statements.statement import SIGN, Statement, Subject
from pkgtool.signing.verify import collect
from pkgtool.signing.verify.check import examine
from pkgtool.signing.verify.evidence import Evidence, Format
from pkgtool.values import Digest

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Published:
    """One artifact beside an image: newly written, or found to be there."""

    subject: Digest
    predicate_type: str
    format: Format
    new: bool


def targets(repository: Repository, reference: str | Digest) -> list[Descriptor]:
    """What has to be signed for a tag or digest: the manifest, or the index and all the manifests in it.

    Raises `SigningError` if the repository has no such thing.
    """
    got = repository.get_manifest(reference)
    if got is None:
        raise SigningError(f"{repository.name} has no {reference} to sign", hint="'pkgtool push' publishes it first")
    descriptor, content = got
    if not descriptor.is_index:
        return [descriptor]
    index = Index.parse(content, what=f"the index {descriptor.digest}", error=SigningError)
    return [descriptor, *(entry for entry in index.manifests if entry.is_manifest or entry.is_index)]


def sign(
    repository: Repository,
    subject: Descriptor,
    attestor: Attestor,
    *,
    annotations: Mapping[str, str] | None = None,
    formats: Iterable[Format] = tuple(Format),
) -> list[Published]:
    """Sign one manifest or index, in each format that does not have this attestor's signature yet.

    `annotations` are signed with it (`cosign verify -a NAME=VALUE` asks for them).
    Raises `SigningError` if the key can't sign, `RegistryError` if the repository refuses.
    """
    wanted = dict(annotations or {})

    def is_same(evidence: Evidence) -> bool:
        return evidence.predicate_type == SIGN and evidence.annotations == wanted and attestor.made(evidence)

    statement = Statement((Subject.of(subject.digest, repository.name, wanted),), SIGN)
    payload = classic.SimpleSigning(str(subject.digest), repository.name, wanted).encode()
    writers: dict[Format, Callable[[], bool]] = {
        Format.BUNDLE: lambda: _publish_bundle(repository, subject, attestor, statement, is_same),
        Format.CLASSIC: lambda: _publish_layer(
            _Tag(repository, subject.digest, collect.Kind.SIGNATURE),
            is_same,
            attestor,
            lambda: attestor.signature_layer(payload),
        ),
    }
    return [Published(subject.digest, SIGN, each, writers[each]()) for each in formats]


def attest(
    repository: Repository,
    subject: Descriptor,
    statement: Statement,
    attestor: Attestor,
    *,
    said: Callable[[Mapping[str, Any]], object] = dict,
    formats: Iterable[Format] = tuple(Format),
) -> list[Published]:
    """Attach a signed statement to the manifest or index it is about, in each format that does not have it yet.

    Two statements of one type are the same if `said` gives the same of their predicates.
    Raises `SigningError` if the statement is about something else or the key can't sign, `RegistryError`.
    """
    try:
        statement.about(subject.digest, what="the statement")
    except VerificationError as problem:
        raise SigningError(problem.message) from problem

    def is_same(evidence: Evidence) -> bool:
        return (
            evidence.predicate_type == statement.predicate_type
            and said(evidence.predicate) == said(statement.predicate)
            and attestor.made(evidence)
        )

    kind = statement.predicate_type
    made: list[bundle.Bundle] = []

    def envelope() -> bundle.Bundle:
        """Signed once for both formats."""
        if not made:
            made.append(attestor.attest(statement.encode()))
        return made[0]

    writers: dict[Format, Callable[[], bool]] = {
        Format.BUNDLE: lambda: _publish_bundle(repository, subject, attestor, statement, is_same, envelope),
        Format.CLASSIC: lambda: _publish_layer(
            _Tag(repository, subject.digest, collect.Kind.ATTESTATION),
            is_same,
            attestor,
            lambda: attestor.attestation_layer(envelope(), kind),
        ),
    }
    return [Published(subject.digest, kind, each, writers[each]()) for each in formats]


def _publish_bundle(
    repository: Repository,
    subject: Descriptor,
    attestor: Attestor,
    statement: Statement,
    is_same: Callable[[Evidence], bool],
    envelope: Callable[[], bundle.Bundle] | None = None,
) -> bool:
    kind = statement.predicate_type
    for candidate in collect.bundles(repository, subject.digest, predicate_types=(kind,)):
        found = examine(candidate, attestor.trust)
        if isinstance(found, Evidence) and is_same(found):
            return False
    content = (envelope() if envelope else attestor.attest(statement.encode())).encode()
    repository.write_blob(b"{}", EMPTY)
    layer = repository.write_blob(content, bundle.MEDIA_TYPE)
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    repository.attach(bundle.manifest(layer, subject, bundle.referrer_annotations(kind, created)))
    return True


@dataclass(frozen=True, slots=True)
class _Tag:
    """A `.sig` or `.att` tag."""

    repository: Repository
    digest: Digest
    kind: collect.Kind

    @property
    def name(self) -> str:
        name_of = classic.signature_tag if self.kind is collect.Kind.SIGNATURE else classic.attestation_tag
        return name_of(self.digest)

    def read(self) -> tuple[Descriptor, bytes] | None:
        return self.repository.get_manifest(self.name)

    def read_now(self) -> tuple[Descriptor, bytes] | None:
        """What the tag holds at this moment, whatever was read before."""
        return fresh(self.repository).get_manifest(self.name)

    def layers(self, got: tuple[Descriptor, bytes] | None) -> list[Descriptor]:
        if got is None:
            return []
        return list(Manifest.parse(got[1], what=f"the tag {self.name}", error=SigningError).layers)


def _publish_layer(
    tag: _Tag, is_same: Callable[[Evidence], bool], attestor: Attestor, make: Callable[[], ClassicLayer | None]
) -> bool:
    """Append a layer to a tag that other signers append to as well.

    Registries have no compare-and-swap for tags, so the tag is read right before writing (looking at what is there, and
    signing, may have taken minutes) and again after it, and whoever lost the race begins anew.
    """
    for candidate in collect.in_tag(tag.repository, tag.digest, tag.kind, tag.read()):
        found = examine(candidate, attestor.trust)
        if isinstance(found, Evidence) and is_same(found):
            return False
    layer = make()
    if layer is None:
        return False
    media_type = classic.SIGNATURE_LAYER if tag.kind is collect.Kind.SIGNATURE else classic.ATTESTATION_LAYER
    blob = tag.repository.write_blob(layer.content, media_type)
    added = Descriptor(blob.media_type, blob.digest, blob.size, annotations=layer.annotations)
    got = tag.read_now()
    for attempt in range(_ATTEMPTS):
        manifest, config = classic.manifest([*tag.layers(got), added])
        tag.repository.write_blob(config, CONFIG)
        tag.repository.put_manifest(manifest.encode(), manifest.media_type, tag=tag.name)
        got = tag.read()  # what was remembered of it was forgotten by writing it
        if added in tag.layers(got):
            return True
        time.sleep(_PAUSE_SECONDS * (attempt + 1))
    raise SigningError(
        f"{tag.repository.name}:{tag.name} was overwritten by somebody else {_ATTEMPTS} times",
        hint="another signer is at work on the same image; run it again when that is done",
    )
