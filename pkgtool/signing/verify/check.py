"""From a candidate to evidence, or to the reason why it is none. Pure: no network, no clock, no disk.

A signature is checked before what it is over is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.signing.dsse import IN_TOTO, Envelope
from pkgtool.signing.encoding import unb64
from pkgtool.signing.formats import bundle, classic
from pkgtool.signing.statements.statement import SIGN, Statement
from pkgtool.signing.verify.collect import Candidate, Kind
from pkgtool.signing.verify.evidence import Evidence, Refusal, Trust
from pkgtool.signing.verify.proof import Established, Proof, establish


def examine(candidate: Candidate, trust: Trust) -> Evidence | Refusal:
    """What the candidate proves to somebody with that trust."""
    try:
        if candidate.problem:
            raise VerificationError(candidate.problem)
        return _READERS[candidate.kind](candidate, trust)
    except VerificationError as problem:
        return Refusal(candidate.digest, problem.message, candidate.format, candidate.source)


def _bundle(candidate: Candidate, trust: Trust) -> Evidence:
    what = f"the bundle {candidate.source.short}"
    found = bundle.Bundle.parse(candidate.content, what=what)
    envelope = found.envelope
    proof = Proof(
        envelope.signed,
        envelope.signature,
        envelope.payload,
        found.key_hint,
        found.certificate,
        found.log_entries,
        found.timestamps,
    )
    return _statement(candidate, envelope, establish(proof, trust, what=what), what)


def _attestation(candidate: Candidate, trust: Trust) -> Evidence:
    what = f"the attestation {candidate.source.short}"
    document = documents.decode(candidate.content, what=what, error=VerificationError, limit=bundle.MAX_BUNDLE)
    envelope = Envelope.of_document(document, what=what)
    material = classic.Material.read(candidate.annotations, what=what)
    proof = Proof(
        envelope.signed,
        envelope.signature,
        envelope.payload,
        "",
        material.certificate,
        material.log_entries,
        material.timestamps,
    )
    return _statement(candidate, envelope, establish(proof, trust, what=what), what)


def _signature(candidate: Candidate, trust: Trust) -> Evidence:
    what = f"the signature {candidate.source.short}"
    signature = unb64(candidate.annotations.get(classic.SIGNATURE), what)
    material = classic.Material.read(candidate.annotations, what=what)
    content = candidate.content
    proof = Proof(content, signature, content, "", material.certificate, material.log_entries, material.timestamps)
    established = establish(proof, trust, what=what)
    payload = classic.SimpleSigning.parse(content, what=f"the payload of {what}")
    if payload.digest != str(candidate.digest):
        raise VerificationError(f"{what} is for another image, {payload.digest}")
    return _evidence(candidate, established, SIGN, {}, payload.annotations)


def _statement(candidate: Candidate, envelope: Envelope, established: Established, what: str) -> Evidence:
    if envelope.payload_type != IN_TOTO:
        raise VerificationError(f"{what} holds {envelope.payload_type!r} and not an in-toto statement")
    statement = Statement.parse(envelope.payload, what=f"the statement in {what}")
    find = statement.covers if candidate.kind is Kind.FILE_BUNDLE else statement.about
    subject = find(candidate.digest, what=f"the statement in {what}")
    annotations = subject.annotations or {}
    return _evidence(candidate, established, statement.predicate_type, statement.predicate, annotations)


def _evidence(
    candidate: Candidate,
    established: Established,
    predicate_type: str,
    predicate: Mapping[str, Any],
    annotations: Mapping[str, Any],
) -> Evidence:
    return Evidence(
        candidate.digest,
        established.signer,
        predicate_type,
        predicate,
        annotations,
        candidate.format,
        candidate.source,
        established.logged,
        established.timestamps,
    )


_READERS = {Kind.BUNDLE: _bundle, Kind.FILE_BUNDLE: _bundle, Kind.ATTESTATION: _attestation, Kind.SIGNATURE: _signature}
