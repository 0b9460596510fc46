"""Release files: who signed one, and what it says that images must be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pkgtool.errors import VerificationError
from pkgtool.policy.claims import weigh
from pkgtool.policy.decision import Check, Decision, Reason
from pkgtool.policy.model import Policy
from pkgtool.policy.outcome import outcome
from pkgtool.policy.provenance import Expected
from pkgtool.signing import verify
from pkgtool.signing.statements.claims import ReleasedPackage


def verify_release(name: str, content: bytes, bundles: Sequence[bytes], policy: Policy, now: datetime) -> Decision:
    """Whether the policy accepts a release file (`content`) by the bundles that were signed for it."""
    findings = verify.file(content, bundles, policy.trust)
    requirement = policy.release
    if requirement is None:
        message = f"{policy.file} does not say who may sign releases"
        check = Check(findings.digest, "release", reason=Reason.NO_RULE, message=message)
        return Decision(name, findings.digest, (check,))
    claims, objections = weigh(requirement, findings.evidence, policy, now)
    return Decision(name, findings.digest, (outcome(requirement, findings, claims, objections),))


def expectation(package: ReleasedPackage, commit: str = "") -> Expected:
    """What a release says about one of its packages.

    Raises `VerificationError` if it names no platforms: a release that doesn't say what must be there can't show
    that something was taken away.
    """
    if not package.platforms:
        raise VerificationError(f"the release names no platforms of {package.name}")
    platforms = tuple((str(platform), digest) for platform, digest in sorted(package.platforms.items()))
    return Expected(tag=package.tag, commit=commit, index=package.index, platforms=platforms)
