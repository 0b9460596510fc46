"""Verification: what lies beside an image, and what of it is true.

    findings = verify.image(repository, digest, trust)

`findings.evidence` are proven claims, `findings.refusals` what was found and proves nothing, with reasons. Neither
is a decision: whose claims are needed, and what they must say, is a policy's to know (`pkgtool.policy`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pkgtool.oci.repository import Repository
from pkgtool.signing.statements.statement import SIGN
from pkgtool.signing.verify import collect
from pkgtool.signing.verify.check import examine
from pkgtool.signing.verify.collect import Candidate, Kind
from pkgtool.signing.verify.evidence import Evidence, Findings, Format, Refusal, Trust
from pkgtool.values import Digest

__all__ = ["Evidence", "Findings", "Format", "Refusal", "Trust", "bundles", "classic", "file", "image"]


def image(
    repository: Repository, digest: Digest, trust: Trust, *, predicate_types: Collection[str] | None = None
) -> Findings:
    """All that is proven about the manifest `digest`, from both formats.

    `predicate_types` limits the search to those (what is of no interest is not fetched). Raises `RegistryError` if
    the repository can't answer, `VerificationError` if it holds too much to look at.
    """
    return bundles(repository, digest, trust, predicate_types=predicate_types) + classic(
        repository, digest, trust, predicate_types=predicate_types
    )


def bundles(
    repository: Repository, digest: Digest, trust: Trust, *, predicate_types: Collection[str] | None = None
) -> Findings:
    """What the sigstore bundles prove."""
    return _examined(digest, collect.bundles(repository, digest, predicate_types=predicate_types), trust)


def classic(
    repository: Repository, digest: Digest, trust: Trust, *, predicate_types: Collection[str] | None = None
) -> Findings:
    """What the older `.sig` and `.att` prove."""
    findings = Findings(digest)
    if predicate_types is None or SIGN in predicate_types:
        findings += _examined(digest, collect.signatures(repository, digest), trust)
    if predicate_types is None or set(predicate_types) - {SIGN}:
        findings += _examined(digest, collect.attestations(repository, digest), trust)
    return findings


def file(content: bytes, bundles: Iterable[bytes], trust: Trust) -> Findings:
    """What bundles prove about a file, such as a release file and what is signed with it."""
    digest = Digest.of(content)
    candidates = [Candidate(digest, Kind.FILE_BUNDLE, Digest.of(each), each) for each in bundles]
    return _examined(digest, candidates, trust)


def _examined(digest: Digest, candidates: Iterable[Candidate], trust: Trust) -> Findings:
    results = [examine(candidate, trust) for candidate in candidates]
    return Findings(
        digest,
        tuple(result for result in results if isinstance(result, Evidence)),
        tuple(result for result in results if isinstance(result, Refusal)),
    )
