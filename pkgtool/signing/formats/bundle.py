"""sigstore bundles (protobuf-specs, sigstore_bundle.proto, v0.3), kept as OCI 1.1 referrers: what cosign 3 writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.oci.documents import EMPTY, Descriptor, Manifest
from pkgtool.signing.dsse import Envelope
from pkgtool.signing.encoding import b64, mapping, sequence, text, unb64
from pkgtool.signing.log.entry import LogEntry

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_CHAIN_TYPES = tuple(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2))
_TYPES = (MEDIA_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3", *_CHAIN_TYPES)
"""What a reader accepts; only the first is written."""

CONTENT = "dev.sigstore.bundle.content"
PREDICATE_TYPE = "dev.sigstore.bundle.predicateType"
CREATED = "org.opencontainers.image.created"

MAX_BUNDLE = 60 * 1024 * 1024
"""Bytes: the largest statement in base64, and what stands around it."""
_MAX_PROOFS = 32
_STAMPS = "timestampVerificationData"


@dataclass(frozen=True, slots=True)
class Bundle:
    """An envelope, who signed it (a key's hint or a certificate), and what proves when."""

    envelope: Envelope
    key_hint: str = ""
    certificate: bytes = b""
    """The signer's certificate, DER; empty for a key."""
    log_entries: tuple[LogEntry, ...] = ()
    timestamps: tuple[bytes, ...] = ()
    """RFC 3161 responses, DER."""
    logged_envelope: bytes = field(default=b"", compare=False)
    """The envelope in the encoding that the log hashed, if that is not ours; the classic format must keep it."""

    def encode(self) -> bytes:
        if self.certificate:
            material: dict[str, Any] = {"certificate": {"rawBytes": b64(self.certificate)}}
        else:
            material = {"publicKey": {"hint": self.key_hint}}
        if self.log_entries:
            material["tlogEntries"] = [entry.document() for entry in self.log_entries]
        if self.timestamps:
            stamps = [{"signedTimestamp": b64(stamp)} for stamp in self.timestamps]
            material[_STAMPS] = {"rfc3161Timestamps": stamps}
        return documents.encode(
            {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": self.envelope.document()}
        )

    @classmethod
    def parse(cls, content: bytes, *, what: str) -> Bundle:
        """Raises `VerificationError` unless it is a bundle around a DSSE envelope."""
        document = documents.decode(content, what=what, error=VerificationError, limit=MAX_BUNDLE)
        media_type = text(document, "mediaType", what, "")
        if media_type not in _TYPES:
            raise VerificationError(f"{what} is not a sigstore bundle of a known version: {media_type!r}")
        if "dsseEnvelope" not in document:
            raise VerificationError(f"{what} holds no DSSE envelope: it signs bytes, not a statement about an image")
        envelope = Envelope.of_document(mapping(document, "dsseEnvelope", what), what=what)
        material = mapping(document, "verificationMaterial", what)
        entries, stamps = proofs(material, what=what)
        return cls(envelope, _hint(material, what), certificate(material, what=what), entries, stamps)


def proofs(material: dict[str, Any], *, what: str) -> tuple[tuple[LogEntry, ...], tuple[bytes, ...]]:
    """The log entries and timestamps in a bundle's verification material. Raises `VerificationError`."""
    stamps = mapping(material, _STAMPS, what) if material.get(_STAMPS) else {}
    return (
        tuple(
            LogEntry.of_document(entry, what=what)
            for entry in sequence(material, "tlogEntries", what, limit=_MAX_PROOFS)
        ),
        tuple(
            unb64(stamp.get("signedTimestamp") if isinstance(stamp, dict) else None, f"a timestamp of {what}")
            for stamp in sequence(stamps, "rfc3161Timestamps", what, limit=_MAX_PROOFS)
        ),
    )


def _hint(material: dict[str, Any], what: str) -> str:
    return text(mapping(material, "publicKey", what), "hint", what, "") if "publicKey" in material else ""


def certificate(material: dict[str, Any], *, what: str) -> bytes:
    """The signer's own certificate; what else a chain holds is not needed, trust comes from the trusted root.

    Empty if there is none. Raises `VerificationError`.
    """
    if "certificate" in material:
        return unb64(mapping(material, "certificate", what).get("rawBytes"), f"the certificate of {what}")
    if "x509CertificateChain" in material:
        chain = sequence(mapping(material, "x509CertificateChain", what), "certificates", what, limit=_MAX_PROOFS)
        if chain and isinstance(chain[0], dict):
            return unb64(chain[0].get("rawBytes"), f"the certificate of {what}")
    return b""


def manifest(layer: Descriptor, subject: Descriptor, annotations: Mapping[str, str]) -> Manifest:
    """The referrer that ties a bundle to the manifest it is about."""
    return Manifest(
        config=Descriptor.of(b"{}", EMPTY),
        layers=(layer,),
        artifact_type=MEDIA_TYPE,
        subject=Descriptor(subject.media_type, subject.digest, subject.size),
        annotations=annotations,
    )


def referrer_annotations(predicate_type: str, created: str) -> dict[str, str]:
    """What the referrer says of its content; a reader may use it to choose, never to decide. `created` is RFC 3339."""
    return {CONTENT: "dsse-envelope", PREDICATE_TYPE: predicate_type, CREATED: created}
