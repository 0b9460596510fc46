"""Release files: who signed one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pkgtool.policy.claims import weigh
from pkgtool.policy.decision import Check, Decision, Reason
from pkgtool.policy.model import Policy
from pkgtool.policy.outcome import outcome
from pkgtool.signing import verify


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
