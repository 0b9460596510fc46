"""Whether a log entry really is in a trusted log, and really is about the signature it comes with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.signing.encoding import mapping, sequence, text, unb64
from pkgtool.signing.log.entry import LogEntry
from pkgtool.signing.log.proofs import Checkpoint, leaf_hash, root_from_proof
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.trusted_root import LogKey, TrustedRoot


@dataclass(frozen=True, slots=True)
class Logged:
    """A proven entry: which log, where in it, and when, if the log signs a time."""

    log: str
    index: int
    time: datetime | None


@dataclass(frozen=True, slots=True)
class SignedThing:
    """What was signed, in the terms that a log entry uses."""

    message: bytes
    """The bytes that the signature is over."""
    signature: bytes
    payload: bytes
    """The payload of the DSSE envelope; for a classic signature the same as `message`."""
    key: PublicKey
    certificate: bytes = b""
    """The signer's certificate, DER; empty if only a key is known."""


def check_entry(entry: LogEntry, thing: SignedThing, root: TrustedRoot) -> Logged:
    """Raises `VerificationError` if the log is not trusted, proves nothing, or recorded something else."""
    log = root.log(entry.log_id)
    if log is None:
        raise VerificationError(
            f"the transparency log {entry.log_id.hex()[:16]}… is not in the trusted root",
            hint="give the trusted root of the instance that was used when signing",
        )
    if not entry.promise and entry.proof is None:
        raise VerificationError("the log entry comes without a proof that it is in the log")
    if entry.proof is not None:
        _check_inclusion(entry, log)
    time = _check_promise(entry, log) if entry.promise else None
    if time is not None and not log.period.holds(time):
        raise VerificationError(f"the log's key was not valid at {time.isoformat()}")
    _check_body(entry, thing)
    return Logged(log.url, entry.index, time)


def _check_inclusion(entry: LogEntry, log: LogKey) -> None:
    proof = entry.proof
    assert proof is not None
    if root_from_proof(leaf_hash(entry.body), proof.index, proof.tree_size, proof.hashes) != proof.root:
        raise VerificationError("the log's inclusion proof does not lead to its root: the entry is not in the log")
    checkpoint = Checkpoint.parse(proof.checkpoint)
    if not checkpoint.signed_by(entry.log_id, log.key):
        raise VerificationError("the log's checkpoint is not signed by the log")
    if (checkpoint.tree_size, checkpoint.root) != (proof.tree_size, proof.root):
        raise VerificationError("the log's checkpoint is for another tree than the inclusion proof")


def _check_promise(entry: LogEntry, log: LogKey) -> datetime:
    if not log.key.verifies(entry.promise, entry.signed_by_promise):
        raise VerificationError("the log's signed entry timestamp is not signed by the log")
    try:
        return datetime.fromtimestamp(entry.integrated_time, UTC)
    except (OverflowError, ValueError, OSError) as problem:
        raise VerificationError(f"the log entry has the impossible time {entry.integrated_time}") from problem


def _check_body(entry: LogEntry, thing: SignedThing) -> None:
    """The entry must have recorded this very signature, payload and key (CVE-2022-36056 was a missing look here)."""
    body = documents.decode(entry.body, what="the log entry", error=VerificationError)
    kind = (text(body, "kind", "the log entry"), text(body, "apiVersion", "the log entry"))
    if kind != (entry.kind, entry.version):
        raise VerificationError(f"the log entry calls itself {'/'.join(kind)} and {entry.kind}/{entry.version}")
    check = _BODIES.get(kind)
    if check is None:
        raise VerificationError(f"log entries of kind {'/'.join(kind)} are not known here")
    check(mapping(body, "spec", "the log entry"), thing)


def _dsse(spec: dict[str, Any], thing: SignedThing) -> None:
    payload = mapping(spec, "payloadHash", "the log entry")
    _same_hash(text(payload, "algorithm", "the log entry"), text(payload, "value", "the log entry"), thing.payload)
    signatures = sequence(spec, "signatures", "the log entry", limit=16)
    if len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise VerificationError("the log entry has recorded several signatures")
    _same_signature(unb64(signatures[0].get("signature"), "the logged signature"), thing)
    _same_verifier(unb64(signatures[0].get("verifier"), "the logged key"), thing)


def _hashed_record(spec: dict[str, Any], thing: SignedThing) -> None:
    recorded = mapping(mapping(spec, "data", "the log entry"), "hash", "the log entry")
    _same_hash(text(recorded, "algorithm", "the log entry"), text(recorded, "value", "the log entry"), thing.message)
    signature = mapping(spec, "signature", "the log entry")
    _same_signature(unb64(signature.get("content"), "the logged signature"), thing)
    key = mapping(signature, "publicKey", "the log entry")
    _same_verifier(unb64(key.get("content"), "the logged key"), thing)


def _hashed_record_2(spec: dict[str, Any], thing: SignedThing) -> None:
    record = mapping(spec, "hashedRekordV002", "the log entry")
    data = mapping(record, "data", "the log entry")
    names = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
    algorithm = names.get(text(data, "algorithm", "the log entry"), "")
    _same_hash(algorithm, unb64(data.get("digest"), "the logged digest").hex(), thing.message)
    signature = mapping(record, "signature", "the log entry")
    _same_signature(unb64(signature.get("content"), "the logged signature"), thing)
    verifier = mapping(signature, "verifier", "the log entry")
    kind = "x509Certificate" if "x509Certificate" in verifier else "publicKey"
    _same_verifier(unb64(mapping(verifier, kind, "the log entry").get("rawBytes"), "the logged key"), thing)


_BODIES = {
    ("dsse", "0.0.1"): _dsse,
    ("hashedrekord", "0.0.1"): _hashed_record,
    ("hashedrekord", "0.0.2"): _hashed_record_2,
}


def _same_hash(algorithm: str, value: str, content: bytes) -> None:
    if algorithm not in ("sha256", "sha384", "sha512"):
        raise VerificationError(f"the log entry uses the unknown hash algorithm {algorithm!r}")
    if hashlib.new(algorithm, content).hexdigest() != value:
        raise VerificationError("the log entry is about another payload")


def _same_signature(logged: bytes, thing: SignedThing) -> None:
    if logged != thing.signature:
        raise VerificationError("the log entry is about another signature")


def _same_verifier(logged: bytes, thing: SignedThing) -> None:
    """A log records a certificate or a key, in PEM or DER."""
    known = [thing.key.der, *([thing.certificate] if thing.certificate else [])]
    if _der(logged) not in known:
        raise VerificationError("the log entry is about a signature by another key")


def _der(content: bytes) -> bytes:
    if not content.startswith(b"-----BEGIN"):
        return content
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        if b"BEGIN CERTIFICATE" in content:
            return x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
    except ValueError as problem:
        raise VerificationError("the certificate in the log entry is malformed") from problem
    return PublicKey.parse(content, what="the key in the log entry", error=VerificationError).der
