"""Who made a signature, and when: a trusted key, or a certificate that was valid at a proven time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pkgtool.errors import VerificationError
from pkgtool.signing.certificates import Certificate, Identity
from pkgtool.signing.log.check import Logged, SignedThing, check_entry
from pkgtool.signing.log.entry import LogEntry
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.verify.evidence import Trust


@dataclass(frozen=True, slots=True)
class Proof:
    """A signature and what came with it, in the same terms for all formats."""

    message: bytes
    """The bytes that the signature is over."""
    signature: bytes
    payload: bytes
    """What the envelope holds; for a classic signature the message itself."""
    hint: str = ""
    certificate: bytes = b""
    log_entries: tuple[LogEntry, ...] = ()
    timestamps: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Established:
    """What a proof comes to."""

    signer: PublicKey | Identity
    logged: tuple[Logged, ...] = ()
    timestamps: tuple[datetime, ...] = ()


def establish(proof: Proof, trust: Trust, *, what: str) -> Established:
    """Raises `VerificationError` if nobody trusted signed, or if something that came with the signature is false."""
    if proof.certificate:
        return _by_certificate(proof, trust, what)
    key = _trusted_key(proof, trust, what)
    logged, timestamps = _times(proof, key, trust)
    return Established(key, logged, timestamps)


def _trusted_key(proof: Proof, trust: Trust, what: str) -> PublicKey:
    """The hint is not signed: it only says which key to try first."""
    for key in sorted(trust.keys, key=lambda key: key.hint != proof.hint):
        if key.verifies(proof.signature, proof.message) or key.verifies_curve_hash(proof.signature, proof.message):
            return key
    if any(key.verifies_pss(proof.signature, proof.message) for key in trust.keys):
        raise VerificationError(f"{what} is an RSA-PSS signature, which is not accepted")
    if any(key.hint == proof.hint for key in trust.keys):
        raise VerificationError(f"{what} names a trusted key, but is not that key's signature over this content")
    raise VerificationError(f"{what} is not by a trusted key")


def _by_certificate(proof: Proof, trust: Trust, what: str) -> Established:
    certificate = Certificate.parse(proof.certificate, what=what)
    if not certificate.key.verifies(proof.signature, proof.message):
        raise VerificationError(f"{what} is not the signature of its certificate over this content")
    if trust.root is None:
        raise VerificationError(
            f"{what} is by {certificate.identity}, and without a trusted root no certificate can be checked"
        )
    logged, timestamps = _times(proof, certificate.key, trust)
    moments = [*timestamps, *(entry.time for entry in logged if entry.time)]
    if not moments:
        raise VerificationError(f"{what} comes without a proven time, so its certificate may have expired before it")
    for moment in moments:
        certificate.check(moment, trust.root)
    return Established(certificate.identity, logged, timestamps)


def _times(proof: Proof, key: PublicKey, trust: Trust) -> tuple[tuple[Logged, ...], tuple[datetime, ...]]:
    """What trusted logs and authorities say. Others prove nothing, but what a trusted one says must be true."""
    root = trust.root
    if root is None:
        return (), ()
    thing = SignedThing(proof.message, proof.signature, proof.payload, key, proof.certificate)
    logged = tuple(check_entry(entry, thing, root) for entry in proof.log_entries if root.log(entry.log_id))
    if not proof.timestamps or not root.timestamp_authorities:
        return logged, ()
    from pkgtool.signing.log.timestamp import check_timestamp

    return logged, tuple(check_timestamp(stamp, proof.signature, root) for stamp in proof.timestamps)
