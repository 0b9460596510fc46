"""Release files: who signed one, and what it says that images must be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pkgtool.errors import VerificationError
from pkgtool.policy.claims import weigh
from pkgtool.policy.decision import Check, Decision, Reason
from pkgtool.policy.model import Policy
from pkgtool.policy.provenance import Expected
from pkgtool.signing import verify
from pkgtool.signing.statements.claims import ReleasedPackage


def verify_release(name: str, content: bytes, bundles: Sequence[bytes], policy: Policy, now: datetime) -> Decision:
    """Whether the policy accepts a release file (`content`) by the bundles that were signed for it."""
    findings = verify.file(content, bundles, policy.trust)
    requirement = policy.release
    if requirement is None:
        message = f"{policy.file} does not say who may sign releases"
        return Decision(name, findings.digest, (_refused(findings, Reason.NO_RULE, message, ()),))
    claims, objections = weigh(requirement, findings.evidence, policy, now)
    signers = tuple(sorted({claim.signer for claim in claims}))
    if len(signers) >= requirement.count:
        sources = tuple(claim.evidence.source for claim in claims if claim.evidence.source)
        return Decision(name, findings.digest, (Check(findings.digest, "release", signers, sources),))
    details = [*(each.message for each in objections), *(each.reason for each in findings.refusals)]
    if signers:
        reason, message = (
            Reason.TOO_FEW,
            f"{requirement.count} signers are needed, and only {', '.join(signers)} signed",
        )
    elif objections:
        reason, message = objections[0].reason, objections[0].message
    elif findings.refusals:
        reason, message = Reason.REFUSED, findings.refusals[0].reason
    else:
        reason, message = Reason.UNSIGNED, "the release file is not signed"
    return Decision(name, findings.digest, (_refused(findings, reason, message, details),))


def _refused(findings: verify.Findings, reason: Reason, message: str, details: Sequence[str]) -> Check:
    return Check(findings.digest, "release", reason=reason, message=message, details=tuple(details))


def expectation(package: ReleasedPackage, commit: str = "") -> Expected:
    """What a release says about one of its packages.

    Raises `VerificationError` if it names no platforms: a release that doesn't say what must be there can't show
    that something was taken away.
    """
    if not package.platforms:
        raise VerificationError(f"the release names no platforms of {package.name}")
    platforms = tuple((str(platform), digest) for platform, digest in sorted(package.platforms.items()))
    return Expected(tag=package.tag, commit=commit, index=package.index, platforms=platforms)
