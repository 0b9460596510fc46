"""Gathering what lies beside an image in its repository: the bytes, and nothing of what they mean.

Anyone who can write to the repository can put things there, so whatever is too large, malformed or of a strange shape
becomes a `Candidate` with a `problem`: it is reported, and never hides what lies next to it. A repository that can't
answer is another matter: its error passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from pkgtool.errors import VerificationError
from pkgtool.oci.documents import EMPTY, Descriptor, Manifest
from pkgtool.oci.repository import Repository
from pkgtool.signing.formats import bundle, classic
from pkgtool.signing.verify.evidence import Format
from pkgtool.values import Digest

MAX_CANDIDATES = 1000
"""A repository with more things about one image than this is refused as a whole."""


class Kind(Enum):
    """What a candidate has to be read as."""

    BUNDLE = Format.BUNDLE
    FILE_BUNDLE = "file"
    """A bundle about a file, which may be one of many subjects."""
    SIGNATURE = "signature"
    ATTESTATION = "attestation"


_LAYER_TYPES = {Kind.SIGNATURE: classic.SIGNATURE_LAYER, Kind.ATTESTATION: classic.ATTESTATION_LAYER}
_LISTED_TYPES = (bundle.MEDIA_TYPE, EMPTY, "")
"""How a list of referrers may name a bundle: where a registry has no such list, cosign keeps one in a tag, with the
type of the bundle's empty configuration in place of its own."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Bytes that may prove something about the manifest `digest`."""

    digest: Digest
    kind: Kind
    source: Digest
    content: bytes = b""
    annotations: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def format(self) -> Format:
        return Format.BUNDLE if self.kind in (Kind.BUNDLE, Kind.FILE_BUNDLE) else Format.CLASSIC


def bundles(
    repository: Repository, digest: Digest, *, predicate_types: Collection[str] | None = None
) -> Iterator[Candidate]:
    """The sigstore bundles that refer to a manifest.

    With `predicate_types`, those that say they are of another type are not fetched. What a bundle says of itself is
    not signed, but whoever could change it could as well remove the bundle.
    """
    found = [entry for entry in repository.referrers(digest) if entry.artifact_type in _LISTED_TYPES]
    if len(found) > MAX_CANDIDATES:
        raise _too_many(repository, digest, len(found))
    for entry in found:
        said = entry.annotations.get(bundle.PREDICATE_TYPE)
        if predicate_types is None or said is None or said in predicate_types:
            candidate = _guarded(digest, Kind.BUNDLE, entry, partial(_bundle, repository, digest, entry.digest))
            if candidate.content or candidate.problem:
                yield candidate


def signatures(repository: Repository, digest: Digest) -> Iterator[Candidate]:
    """The classic signatures of a manifest."""
    return in_tag(repository, digest, Kind.SIGNATURE, repository.get_manifest(classic.signature_tag(digest)))


def attestations(repository: Repository, digest: Digest) -> Iterator[Candidate]:
    """The classic attestations of a manifest."""
    return in_tag(repository, digest, Kind.ATTESTATION, repository.get_manifest(classic.attestation_tag(digest)))


def in_tag(
    repository: Repository, digest: Digest, kind: Kind, got: tuple[Descriptor, bytes] | None
) -> Iterator[Candidate]:
    """The layers of a `.sig` or `.att` that was read."""
    if got is None:
        return
    descriptor, content = got
    what = f"the manifest with the classic {kind.value}s of {digest.short}"
    try:
        manifest = Manifest.parse(_honest(content, descriptor.digest), what=what, error=VerificationError)
    except VerificationError as malformed:
        yield Candidate(digest, kind, descriptor.digest, problem=malformed.message)
        return
    if len(manifest.layers) > MAX_CANDIDATES:
        raise _too_many(repository, digest, len(manifest.layers))
    usual = classic.SimpleSigning(str(digest), repository.name, {}).encode() if kind is Kind.SIGNATURE else b""
    for layer in manifest.layers:
        if usual and layer.media_type == classic.SIGNATURE_LAYER and layer.digest == Digest.of(usual):
            # What a signature without annotations is over is known, so it need not be fetched.
            yield Candidate(digest, kind, layer.digest, usual, layer.annotations)
        else:
            yield _guarded(digest, kind, layer, partial(_layer, repository, layer, _LAYER_TYPES[kind], what))


def _bundle(repository: Repository, digest: Digest, referrer: Digest) -> bytes:
    """The bundle's bytes; none if the referrer turns out to be something else."""
    got = repository.get_manifest(referrer)
    if got is None:
        raise VerificationError(f"the referrer {referrer} is listed and not there")
    manifest = Manifest.parse(_honest(got[1], referrer), what=f"the referrer {referrer}", error=VerificationError)
    if manifest.artifact_type != bundle.MEDIA_TYPE:
        return b""
    if manifest.subject is None or manifest.subject.digest != digest:
        raise VerificationError(f"the referrer {referrer} refers to another manifest")
    if len(manifest.layers) != 1:
        raise VerificationError(f"the referrer {referrer} has {len(manifest.layers)} layers where one is expected")
    (layer,) = manifest.layers
    if layer.media_type != bundle.MEDIA_TYPE:
        raise VerificationError(f"the referrer {referrer} holds {layer.media_type!r} and not a bundle")
    return _read(repository, layer)


def _layer(repository: Repository, layer: Descriptor, layer_type: str, what: str) -> bytes:
    if layer.media_type != layer_type:
        raise VerificationError(f"a layer of {what} is {layer.media_type!r} and not {layer_type}")
    return _read(repository, layer)


def _guarded(digest: Digest, kind: Kind, source: Descriptor, read: Callable[[], bytes]) -> Candidate:
    try:
        return Candidate(digest, kind, source.digest, read(), source.annotations)
    except VerificationError as problem:
        return Candidate(digest, kind, source.digest, problem=problem.message)


def _read(repository: Repository, layer: Descriptor) -> bytes:
    if layer.size > bundle.MAX_BUNDLE:
        raise VerificationError(f"the blob {layer.digest} is {layer.size} bytes long, more than {bundle.MAX_BUNDLE}")
    return _honest(repository.read_blob(layer), layer.digest)


def _honest(content: bytes, digest: Digest) -> bytes:
    """The content, if it is what its digest says. The repository checks too; this is where it matters."""
    if digest.algorithm != "sha256" or Digest.of(content) != digest:
        raise VerificationError(f"the registry gave other content than {digest}")
    return content


def _too_many(repository: Repository, digest: Digest, count: int) -> VerificationError:
    return VerificationError(
        f"{repository.name} holds {count} things about {digest}, more than the {MAX_CANDIDATES} that are looked at",
        hint="somebody may have filled the repository to hide something; remove what does not belong there",
    )
