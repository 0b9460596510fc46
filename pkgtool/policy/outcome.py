"""From the claims that count, and the objections to those that don't, to one check with the most telling reason."""

from __future__ import annotations

from collections.abc import Sequence

from pkgtool.policy.claims import Claim, Objection
from pkgtool.policy.decision import Check, Reason
from pkgtool.policy.model import Requirement
from pkgtool.signing.statements.statement import RELEASE, SIGN, short_name
from pkgtool.signing.verify.evidence import Findings

_MOST_TELLING = (
    Reason.CONTENT,
    Reason.DEPENDENCY,
    Reason.REVOKED,
    Reason.EXPIRED,
    Reason.NOT_LOGGED,
    Reason.NO_TIME,
    Reason.TOO_OLD,
    Reason.ANNOTATIONS,
    Reason.UNKNOWN_SIGNER,
    Reason.WRONG_TYPE,
)


def outcome(
    requirement: Requirement, findings: Findings, claims: Sequence[Claim], objections: Sequence[Objection]
) -> Check:
    """The check of one requirement on one digest."""
    what = short_name(requirement.predicate_type)
    signers = tuple(sorted({claim.signer for claim in claims}))
    if len(signers) >= requirement.count:
        sources = tuple(claim.evidence.source for claim in claims if claim.evidence.source)
        return Check(findings.digest, what, signers, sources)
    refused = [refusal.reason for refusal in findings.refusals]
    reason, message = _why_not(requirement, what, signers, objections, refused)
    # What is beside an image for another purpose is worth a word only where nothing else is.
    telling = [each.message for each in objections if each.reason is not Reason.WRONG_TYPE or reason is each.reason]
    details = tuple(each for each in dict.fromkeys([*telling, *refused]) if each not in message)
    return Check(findings.digest, what, signers, reason=reason, message=message, details=details)


def _why_not(
    requirement: Requirement, what: str, signers: Sequence[str], objections: Sequence[Objection], refused: Sequence[str]
) -> tuple[Reason, str]:
    first = min(objections, key=lambda each: _MOST_TELLING.index(each.reason), default=None)
    if signers:
        missing = ", ".join(name for name in requirement.by if name not in signers)
        enough = f"{requirement.count} signers must have made the {what}"
        return Reason.TOO_FEW, f"{enough}, and only {', '.join(signers)} did (not {missing})"
    if first and first.reason is Reason.WRONG_TYPE:
        return first.reason, f"{_nothing(what)}; {first.message}"
    if first:
        return first.reason, first.message
    if refused:
        return Reason.REFUSED, f"{_nothing(what)} that counts: {refused[0]}"
    return Reason.UNSIGNED, _nothing(what)


def _nothing(what: str) -> str:
    signatures = (short_name(SIGN), short_name(RELEASE))
    return "there is no signature" if what in signatures else f"there is no {what} attestation"
