"""in-toto statements: which artifact a claim is about, and what it claims (in-toto attestation framework, v1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.signing.encoding import mapping, sequence, text
from pkgtool.values import Digest

V1 = "https://in-toto.io/Statement/v1"
V0_1 = "https://in-toto.io/Statement/v0.1"

SIGN = "https://sigstore.dev/cosign/sign/v1"
"""cosign's predicate of a plain signature: nothing but the subject is claimed."""
PROVENANCE = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"
CYCLONEDX = "https://cyclonedx.org/bom"
VSA = "https://slsa.dev/verification_summary/v1"
RELEASE = "https://pkgtool.dev/release/v1"
REBUILD = "https://pkgtool.dev/rebuild/v1"

SHORT_NAMES: Mapping[str, str] = {
    "signature": SIGN,
    "slsaprovenance1": PROVENANCE,
    "spdxjson": SPDX,
    "cyclonedx": CYCLONEDX,
    "vsa": VSA,
    "release": RELEASE,
    "rebuild": REBUILD,
}
"""Names for people; the ones that cosign has are cosign's."""

_FIELDS = frozenset(("_type", "subject", "predicateType", "predicate"))
_SUBJECT_FIELDS = frozenset(("name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations"))
_MAX_SUBJECTS = 10_000


def predicate_type(name: str) -> str:
    """The URI for a short name; a URI stays as it is."""
    return SHORT_NAMES.get(name, name)


def short_name(uri: str) -> str:
    """The short name of a predicate type where there is one."""
    return next((name for name, known in SHORT_NAMES.items() if known == uri), uri)


@dataclass(frozen=True, slots=True)
class Subject:
    """One artifact, by digest: algorithm → hexadecimal."""

    digests: Mapping[str, str]
    name: str = ""
    annotations: Mapping[str, str] | None = None

    @classmethod
    def of(cls, digest: Digest, name: str = "", annotations: Mapping[str, str] | None = None) -> Subject:
        return cls({digest.algorithm: digest.hex}, name, annotations)

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"name": self.name} if self.name else {}
        document["digest"] = dict(self.digests)
        if self.annotations is not None:
            document["annotations"] = dict(sorted(self.annotations.items()))
        return document


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim about artifacts. `encode` gives the same bytes for the same claim."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        return documents.encode(
            {
                "_type": V1,
                "subject": [subject.document() for subject in self.subjects],
                "predicateType": self.predicate_type,
                "predicate": self.predicate,
            }
        )

    @classmethod
    def parse(cls, content: bytes, *, what: str) -> Statement:
        """Read a statement, strictly: a field that nobody knows may mean something that was not checked.

        Raises `VerificationError`.
        """
        document = documents.decode(content, what=what, error=VerificationError, limit=MAX_STATEMENT)
        _only(document, _FIELDS, what)
        if document.get("_type") not in (V1, V0_1):
            raise VerificationError(f"{what} is not an in-toto statement: its type is {document.get('_type')!r}")
        subjects = sequence(document, "subject", what, limit=_MAX_SUBJECTS)
        if not subjects:
            raise VerificationError(f"{what} has no subject")
        return cls(
            tuple(_subject(subject, what) for subject in subjects),
            text(document, "predicateType", what),
            mapping(document, "predicate", what) if "predicate" in document else {},
        )

    def covers(self, digest: Digest, *, what: str) -> Subject:
        """The one of the statement's subjects that is the file with `digest`. Raises `VerificationError`."""
        for subject in self.subjects:
            if subject.digests == {digest.algorithm: digest.hex}:
                return subject
        raise VerificationError(f"{what} is not about this file, {digest}")

    def about(self, digest: Digest, *, what: str) -> Subject:
        """The statement's one subject, which must be the artifact with `digest`.

        Raises `VerificationError` if there are several subjects, several digests, or another artifact.
        """
        if len(self.subjects) != 1:
            raise VerificationError(f"{what} is about {len(self.subjects)} artifacts, and must be about this one alone")
        (subject,) = self.subjects
        if len(subject.digests) != 1:
            names = ", ".join(sorted(subject.digests)) or "none"
            raise VerificationError(f"{what} names its subject by several digests or none ({names})")
        ((algorithm, hexadecimal),) = subject.digests.items()
        if algorithm not in ("sha256", "sha512"):
            raise VerificationError(f"{what} names its subject by the unknown hash algorithm {algorithm!r}")
        if (algorithm, hexadecimal) != (digest.algorithm, digest.hex):
            raise VerificationError(f"{what} is about another artifact, {algorithm}:{hexadecimal}")
        return subject


MAX_STATEMENT = 40 * 1024 * 1024
"""Bytes. SBOMs of large images have some."""


def _subject(document: Any, what: str) -> Subject:
    if not isinstance(document, dict):
        raise VerificationError(f"{what} has a subject that is not an object")
    _only(document, _SUBJECT_FIELDS, f"a subject of {what}")
    digests = document.get("digest")
    annotations = document.get("annotations")
    for found, name in ((digests, "digest"), (annotations, "annotations")):
        if found is not None and not _is_text_map(found):
            raise VerificationError(f"{name!r} in a subject of {what} is not an object of texts")
    return Subject(digests or {}, text(document, "name", what, ""), annotations)


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _only(document: dict[str, Any], known: frozenset[str], what: str) -> None:
    unknown = sorted(document.keys() - known)
    if unknown:
        raise VerificationError(f"{what} has unknown fields: {', '.join(unknown)}")
