"""Who has already said something of a kind about an image: this signer, or only others."""

from __future__ import annotations

from collections.abc import Iterator

from pkgtool.errors import VerificationError
from pkgtool.oci.repository import Repository
from pkgtool.signing.attestor import Attestor
from pkgtool.signing.formats import bundle, classic
from pkgtool.signing.statements.statement import Statement
from pkgtool.signing.verify import collect
from pkgtool.signing.verify.check import examine
from pkgtool.signing.verify.evidence import Evidence
from pkgtool.values import Digest


def only_by_others(repository: Repository, subject: Digest, predicate_type: str, attestor: Attestor) -> bool:
    """Whether statements of that type lie beside an image, and none of them is this attestor's.

    What others have signed is not verified: that something is there is all that is told. What is malformed is nothing.
    """
    others = False
    for candidate in _candidates(repository, subject, predicate_type):
        found = examine(candidate, attestor.trust)
        if isinstance(found, Evidence) and attestor.made(found):
            return False
        others = True
    return others


def _candidates(repository: Repository, subject: Digest, predicate_type: str) -> Iterator[collect.Candidate]:
    for layer in collect.attestations(repository, subject):
        if layer.annotations.get(classic.PREDICATE_TYPE) == predicate_type:
            yield layer
    for found in collect.bundles(repository, subject, predicate_types=(predicate_type,)):
        if found.content and _type_in(found.content) == predicate_type:
            yield found


def _type_in(content: bytes) -> str:
    try:
        envelope = bundle.Bundle.parse(content, what="a bundle").envelope
        return Statement.parse(envelope.payload, what="the statement in a bundle").predicate_type
    except VerificationError:
        return ""
