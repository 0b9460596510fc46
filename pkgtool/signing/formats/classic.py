"""cosign's older format: the tags `sha256-HEX.sig` and `sha256-HEX.att`, one layer a signature.

It is what skopeo and podman read (github.com/sigstore/cosign, specs/SIGNATURE_SPEC.md and ATTESTATION_SPEC.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.oci.documents import CONFIG, Descriptor, Manifest
from pkgtool.signing.encoding import b64, mapping, text, unb64
from pkgtool.signing.log.entry import LogEntry
from pkgtool.values import Digest

SIGNATURE_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
ATTESTATION_LAYER = "application/vnd.dsse.envelope.v1+json"
PAYLOAD_TYPE = "cosign container image signature"

SIGNATURE = "dev.cosignproject.cosign/signature"
CERTIFICATE = "dev.sigstore.cosign/certificate"
CHAIN = "dev.sigstore.cosign/chain"
LOG = "dev.sigstore.cosign/bundle"
TIMESTAMP = "dev.sigstore.cosign/rfc3161timestamp"
PREDICATE_TYPE = "predicateType"

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_NO_TIME = "0001-01-01T00:00:00Z"


def signature_tag(digest: Digest) -> str:
    """The tag that the signatures of a manifest are under."""
    return f"{digest.algorithm}-{digest.hex}.sig"


def attestation_tag(digest: Digest) -> str:
    """The tag that the attestations of a manifest are under."""
    return f"{digest.algorithm}-{digest.hex}.att"


@dataclass(frozen=True, slots=True)
class SimpleSigning:
    """What a classic signature is over: a digest, the repository it was signed in, and annotations."""

    digest: str
    repository: str
    annotations: Mapping[str, Any]

    def encode(self) -> bytes:
        return documents.encode(
            {
                "critical": {
                    "identity": {"docker-reference": self.repository},
                    "image": {"docker-manifest-digest": self.digest},
                    "type": PAYLOAD_TYPE,
                },
                "optional": dict(sorted(self.annotations.items())) or None,
            }
        )

    @classmethod
    def parse(cls, content: bytes, *, what: str) -> SimpleSigning:
        """Raises `VerificationError` if it is not such a payload."""
        document = documents.decode(content, what=what, error=VerificationError)
        critical = mapping(document, "critical", what)
        if set(document) - {"critical", "optional"} or set(critical) - {"identity", "image", "type"}:
            raise VerificationError(f"{what} has unknown fields")
        if critical.get("type") != PAYLOAD_TYPE:
            raise VerificationError(f"{what} has the unknown type {critical.get('type')!r}")
        optional = document.get("optional")
        if optional is not None and not isinstance(optional, dict):
            raise VerificationError(f"the annotations of {what} are malformed")
        return cls(
            text(mapping(critical, "image", what), "docker-manifest-digest", what),
            text(mapping(critical, "identity", what), "docker-reference", what, ""),
            optional or {},
        )


@dataclass(frozen=True, slots=True)
class Material:
    """What a layer's annotations say besides the signature: a certificate, a log's promise, a timestamp."""

    certificate: bytes = b""
    """DER; empty for a key."""
    log_entries: tuple[LogEntry, ...] = ()
    timestamps: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, annotations: Mapping[str, str], *, what: str) -> Material:
        """Raises `VerificationError` if something in it is malformed."""
        certificate = annotations.get(CERTIFICATE, "")
        log, stamp = annotations.get(LOG, ""), annotations.get(TIMESTAMP, "")
        return cls(
            _pem_to_der(certificate, what) if certificate else b"",
            (LogEntry.of_annotation(log, what=what),) if log else (),
            (_timestamp(stamp, what),) if stamp else (),
        )

    def annotations(self) -> dict[str, str]:
        """The same as annotations. Only a log that gives promises (Rekor v1) can be written down here."""
        written: dict[str, str] = {}
        if self.certificate:
            written[CERTIFICATE] = _der_to_pem(self.certificate)
        for entry in self.log_entries:
            if entry.promise:
                written[LOG] = entry.annotation()
        for stamp in self.timestamps:
            written[TIMESTAMP] = documents.encode({"SignedRFC3161Timestamp": b64(stamp)}).decode()
        return written


def _timestamp(value: str, what: str) -> bytes:
    document = documents.decode(value.encode(), what=f"the timestamp of {what}", error=VerificationError)
    return unb64(document.get("SignedRFC3161Timestamp"), f"the timestamp of {what}")


def _pem_to_der(text: str, what: str) -> bytes:
    lines = text.strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise VerificationError(f"the certificate of {what} is not one certificate in PEM form")
    return unb64("".join(lines[1:-1]), f"the certificate of {what}")


def _der_to_pem(der: bytes) -> str:
    encoded = b64(der)
    lines = "".join(f"{encoded[start : start + 64]}\n" for start in range(0, len(encoded), 64))
    return f"{_BEGIN}\n{lines}{_END}\n"


def manifest(layers: Sequence[Descriptor]) -> tuple[Manifest, bytes]:
    """The manifest that holds these layers, and its configuration's bytes."""
    config = documents.encode(
        {
            "architecture": "",
            "created": _NO_TIME,
            "history": [{"created": _NO_TIME} for _ in layers],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]},
            "config": {},
        }
    )
    return Manifest(Descriptor.of(config, CONFIG), tuple(layers)), config
