"""What lies beside an image says of it, whoever put it there: nothing here is verified.

Good only to find something that is then checked in another way: a rebuild of what a provenance names either gives the
image's digest or it does not, whoever wrote the provenance.
"""

from __future__ import annotations

from collections.abc import Iterator

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.oci.repository import Repository
from pkgtool.signing.dsse import IN_TOTO, Envelope
from pkgtool.signing.formats import bundle
from pkgtool.signing.statements.statement import Statement
from pkgtool.signing.verify import collect
from pkgtool.signing.verify.collect import Candidate, Kind
from pkgtool.values import Digest


def statements(repository: Repository, digest: Digest, predicate_type: str) -> Iterator[Statement]:
    """The statements of a type about the manifest `digest`; what is malformed is passed over.

    Raises `RegistryError` if the repository can't answer, `VerificationError` if it holds too much to look at.
    """
    yield from _parsed(collect.bundles(repository, digest, predicate_types=(predicate_type,)), predicate_type)
    yield from _parsed(collect.attestations(repository, digest), predicate_type)


def _parsed(candidates: Iterator[Candidate], predicate_type: str) -> Iterator[Statement]:
    for candidate in candidates:
        try:
            found = _statement(candidate)
        except VerificationError:
            continue
        if found is not None and found.predicate_type == predicate_type:
            yield found


def _statement(candidate: Candidate) -> Statement | None:
    what = f"the {candidate.kind.value} {candidate.source.short}"
    if candidate.problem:
        return None
    if candidate.kind is Kind.BUNDLE:
        envelope = bundle.Bundle.parse(candidate.content, what=what).envelope
    else:
        document = documents.decode(candidate.content, what=what, error=VerificationError, limit=bundle.MAX_BUNDLE)
        envelope = Envelope.of_document(document, what=what)
    if envelope.payload_type != IN_TOTO:
        return None
    statement = Statement.parse(envelope.payload, what=what)
    statement.about(candidate.digest, what=what)
    return statement
