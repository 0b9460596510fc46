"""DSSE: an envelope around a payload, and what exactly is signed (github.com/secure-systems-lab/dsse, v1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.signing.encoding import b64, sequence, text, unb64

IN_TOTO = "application/vnd.in-toto+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: the bytes that a signature is over."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with its one signature.

    DSSE allows several signatures; whoever wants another one here makes another envelope, so that it is always clear
    who signed what. Key identifiers are not written, and not read: they are not signed.
    """

    payload: bytes
    signature: bytes
    payload_type: str = IN_TOTO

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        return pae(self.payload_type, self.payload)

    def document(self) -> dict[str, Any]:
        return {
            "payloadType": self.payload_type,
            "payload": b64(self.payload),
            "signatures": [{"sig": b64(self.signature)}],
        }

    def encode(self) -> bytes:
        return documents.encode(self.document())

    @classmethod
    def of_document(cls, document: dict[str, Any], *, what: str) -> Envelope:
        """Raises `VerificationError` unless it is an envelope with exactly one signature."""
        signatures = sequence(document, "signatures", what, limit=16)
        if len(signatures) != 1 or not isinstance(signatures[0], dict):
            raise VerificationError(f"{what} has {len(signatures)} signatures where exactly one is accepted")
        return cls(
            unb64(document.get("payload"), f"the payload of {what}"),
            unb64(signatures[0].get("sig"), f"the signature of {what}"),
            text(document, "payloadType", what),
        )
