"""A transparency log's receipt for one signature: sigstore's `TransparencyLogEntry` (sigstore_rekor.proto)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.signing.encoding import b64, mapping, number, sequence, text, unb64

_MAX_HASHES = 64
"""A proof's length grows with the logarithm of the log; 64 levels are more entries than there are."""


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That the entry is in the log with this root (RFC 9162, 2.1.3), and the log's signature on the root."""

    index: int
    tree_size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What a log recorded (`body`, canonical JSON), where, and how it proves it."""

    body: bytes
    log_id: bytes
    index: int
    kind: str
    version: str
    integrated_time: int = 0
    """Seconds since 1970; 0 if the log gives none. Only the promise signs it."""
    promise: bytes = b""
    """The signed entry timestamp of a Rekor v1; empty for v2."""
    proof: InclusionProof | None = None

    @property
    def signed_by_promise(self) -> bytes:
        """The bytes that the promise is over: canonical JSON (RFC 8785; these values need no more than sorting)."""
        fields = {
            "body": b64(self.body),
            "integratedTime": self.integrated_time,
            "logID": self.log_id.hex(),
            "logIndex": self.index,
        }
        return documents.encode(fields)

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "logIndex": str(self.index),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": self.kind, "version": self.version},
        }
        if self.integrated_time:
            document["integratedTime"] = str(self.integrated_time)
        if self.promise:
            document["inclusionPromise"] = {"signedEntryTimestamp": b64(self.promise)}
        if self.proof:
            document["inclusionProof"] = {
                "logIndex": str(self.proof.index),
                "rootHash": b64(self.proof.root),
                "treeSize": str(self.proof.tree_size),
                "hashes": [b64(item) for item in self.proof.hashes],
                "checkpoint": {"envelope": self.proof.checkpoint},
            }
        document["canonicalizedBody"] = b64(self.body)
        return document

    @classmethod
    def of_document(cls, document: Any, *, what: str) -> LogEntry:
        """Raises `VerificationError` if it is malformed, or comes without a proof that it is in the log."""
        what = f"the log entry of {what}"
        if not isinstance(document, dict):
            raise VerificationError(f"{what} is not an object")
        kind = mapping(document, "kindVersion", what)
        return cls(
            unb64(document.get("canonicalizedBody"), f"the body of {what}"),
            unb64(mapping(document, "logId", what).get("keyId"), f"the log id of {what}"),
            number(document, "logIndex", what, 0),
            text(kind, "kind", what),
            text(kind, "version", what),
            number(document, "integratedTime", what, 0),
            _promise(mapping(document, "inclusionPromise", what), what) if document.get("inclusionPromise") else b"",
            _proof(mapping(document, "inclusionProof", what), what),
        )

    @classmethod
    def of_rekor_v1(cls, response: dict[str, Any], *, what: str) -> LogEntry:
        """From Rekor v1's own answer, which maps the entry's id to it. Raises `VerificationError`."""
        if len(response) != 1:
            raise VerificationError(f"{what} has {len(response)} entries where one was expected")
        (name,) = response
        entry = mapping(response, name, what)
        body = unb64(entry.get("body"), f"the body of {what}")
        kind = documents.decode(body, what=f"the body of {what}", error=VerificationError)
        verification = mapping(entry, "verification", what)
        proof = mapping(verification, "inclusionProof", what)
        return cls(
            body,
            _unhex(entry.get("logID"), what),
            number(entry, "logIndex", what),
            text(kind, "kind", what),
            text(kind, "apiVersion", what),
            number(entry, "integratedTime", what),
            unb64(verification.get("signedEntryTimestamp"), f"the promise of {what}"),
            InclusionProof(
                number(proof, "logIndex", what),
                number(proof, "treeSize", what),
                _unhex(proof.get("rootHash"), what),
                tuple(_unhex(item, what) for item in sequence(proof, "hashes", what, limit=_MAX_HASHES)),
                text(proof, "checkpoint", what),
            ),
        )

    # -- cosign's older annotation ----------------------------------------------------------------------

    def annotation(self) -> str:
        """The value of `dev.sigstore.cosign/bundle`: the promise, without a proof."""
        payload = {
            "body": b64(self.body),
            "integratedTime": self.integrated_time,
            "logIndex": self.index,
            "logID": self.log_id.hex(),
        }
        return documents.encode({"SignedEntryTimestamp": b64(self.promise), "Payload": payload}).decode()

    @classmethod
    def of_annotation(cls, value: str, *, what: str) -> LogEntry:
        """Raises `VerificationError` if it is malformed."""
        what = f"the log annotation of {what}"
        document = documents.decode(value.encode(), what=what, error=VerificationError)
        payload = mapping(document, "Payload", what)
        body = unb64(payload.get("body"), f"the body of {what}")
        kind = documents.decode(body, what=f"the body of {what}", error=VerificationError)
        return cls(
            body,
            _unhex(payload.get("logID"), what),
            number(payload, "logIndex", what),
            text(kind, "kind", what),
            text(kind, "apiVersion", what),
            number(payload, "integratedTime", what),
            unb64(document.get("SignedEntryTimestamp"), f"the promise of {what}"),
        )


def _promise(document: dict[str, Any], what: str) -> bytes:
    return unb64(document.get("signedEntryTimestamp"), f"the promise of {what}")


def _proof(document: dict[str, Any], what: str) -> InclusionProof:
    hashes = sequence(document, "hashes", what, limit=_MAX_HASHES)
    return InclusionProof(
        number(document, "logIndex", what, 0),
        number(document, "treeSize", what),
        unb64(document.get("rootHash"), f"the root of {what}"),
        tuple(unb64(item, f"a hash of {what}") for item in hashes),
        text(mapping(document, "checkpoint", what), "envelope", what),
    )


def _unhex(value: Any, what: str) -> bytes:
    try:
        return base64.b16decode(value, casefold=True)
    except (ValueError, TypeError) as problem:
        raise VerificationError(f"{what} has {value!r} where hexadecimal digits must stand") from problem
