"""Which pieces of evidence count for a requirement, and for each that does not, why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pkgtool.policy.decision import Reason
from pkgtool.policy.model import Policy, Requirement, SignerRule
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.statements.statement import short_name
from pkgtool.signing.verify.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a piece of evidence does not count."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A piece of evidence that counts, by a signer that the policy names."""

    signer: str
    evidence: Evidence


def weigh(
    requirement: Requirement, evidence: Iterable[Evidence], policy: Policy, now: datetime
) -> tuple[list[Claim], list[Objection]]:
    """Sort what was proven into what counts and what does not."""
    claims: list[Claim] = []
    objections: list[Objection] = []
    for piece in evidence:
        judged = _judge(requirement, piece, policy, now)
        if isinstance(judged, Claim):
            claims.append(judged)
        else:
            objections.append(judged)
    return claims, objections


def _judge(requirement: Requirement, piece: Evidence, policy: Policy, now: datetime) -> Claim | Objection:
    kind = short_name(piece.predicate_type)
    if piece.predicate_type != requirement.predicate_type:
        wanted = short_name(requirement.predicate_type)
        return Objection(Reason.WRONG_TYPE, f"there is a {kind}, which is no {wanted}")
    rules = [rule for rule in policy.signers.values() if rule.matches(piece.signer)]
    named = [rule for rule in rules if rule.name in requirement.by]
    if not named:
        who = ", ".join(rule.name for rule in rules) or describe(piece.signer)
        return Objection(Reason.UNKNOWN_SIGNER, f"the {kind} by {who} is not by one of {', '.join(requirement.by)}")
    objections = [_object(requirement, piece, rule, now) for rule in named]
    for rule, objection in zip(named, objections, strict=True):
        if objection is None:
            return Claim(rule.name, piece)
    return next(each for each in objections if each)


def _object(requirement: Requirement, piece: Evidence, rule: SignerRule, now: datetime) -> Objection | None:
    """What speaks against this signer's claim, if anything."""
    kind = f"{short_name(piece.predicate_type)} by {rule.name}"
    earliest = min(piece.times, default=None)
    if rule.revoked and (earliest is None or earliest >= rule.revoked):
        return Objection(Reason.REVOKED, f"the {kind} does not count: that signer is revoked")
    if rule.not_after and (earliest or now) > rule.not_after:
        return Objection(Reason.EXPIRED, f"the {kind} does not count: that signer's time ended {rule.not_after:%F}")
    logged = requirement.log if requirement.log is not None else rule.key is None
    if logged and not piece.logged:
        return Objection(Reason.NOT_LOGGED, f"the {kind} is not in a trusted transparency log")
    if requirement.timestamp and earliest is None:
        return Objection(Reason.NO_TIME, f"the {kind} has no time that somebody trusted vouches for")
    if requirement.max_age is not None:
        latest = max(piece.times, default=None)
        if latest is None:
            return Objection(Reason.NO_TIME, f"the age of the {kind} is not known: nobody trusted vouches for its time")
        if now - latest > requirement.max_age:
            return Objection(Reason.TOO_OLD, f"the {kind} is of {latest:%F}, more than {requirement.max_age.days} days")
    missing = {name: value for name, value in requirement.annotations.items() if piece.annotations.get(name) != value}
    if missing:
        wanted = ", ".join(f"{name}={value}" for name, value in sorted(missing.items()))
        return Objection(Reason.ANNOTATIONS, f"the {kind} does not sign the annotation {wanted}")
    return None


def describe(signer: object) -> str:
    """A signer that the policy has no name for."""
    return f"the key {signer.fingerprint[:16]}…" if isinstance(signer, PublicKey) else str(signer)
