"""The outcome of an evaluation: what was asked, what the answer was, and why. Data, for people and for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.signing.verify.evidence import Evidence
from pkgtool.values import Digest


class Reason(StrEnum):
    """Why a check failed. Stable: scripts may compare them."""

    NO_RULE = "no-rule"
    UNSIGNED = "unsigned"
    WRONG_TYPE = "wrong-predicate-type"
    UNKNOWN_SIGNER = "unknown-signer"
    REVOKED = "revoked-signer"
    EXPIRED = "expired"
    NOT_LOGGED = "not-logged"
    NO_TIME = "no-trusted-time"
    TOO_OLD = "too-old"
    ANNOTATIONS = "annotations"
    TOO_FEW = "too-few-signers"
    CONTENT = "statement-content"
    PLATFORM_MISSING = "platform-missing"
    INDEX_CHANGED = "index-changed"
    OTHER_DIGEST = "other-digest"
    DEPENDENCY = "dependency"
    REFUSED = "refused-evidence"


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement, asked of one digest."""

    digest: Digest
    what: str
    """`signature`, `slsaprovenance1`, `platforms`, …"""
    signers: tuple[str, ...] = ()
    """The policy's names of those whose claims counted."""
    evidence: tuple[Digest, ...] = ()
    reason: Reason | None = None
    """None if the check passed."""
    message: str = ""
    details: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.reason is None

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"digest": str(self.digest), "what": self.what, "passed": self.passed}
        if self.signers:
            document["signers"] = list(self.signers)
        if self.evidence:
            document["evidence"] = [str(each) for each in self.evidence]
        if self.reason:
            document |= {"reason": str(self.reason), "message": self.message, "details": list(self.details)}
        return document


@dataclass(frozen=True, slots=True)
class Decision:
    """All checks of one image. It is accepted only if there were checks and all of them passed."""

    name: str
    """The reference as the caller named it."""
    digest: Digest
    checks: tuple[Check, ...]
    level: int = 0
    """The SLSA Build level that follows."""
    claims: tuple[Evidence, ...] = ()
    """What was said about the image and counted: the statements themselves, whose digests the checks name."""

    @property
    def accepted(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    @property
    def evidence(self) -> tuple[Digest, ...]:
        """What the decision rests on."""
        return tuple(sorted({each for check in self.checks for each in check.evidence}))

    def document(self) -> dict[str, Any]:
        """For JSON output."""
        return {
            "reference": self.name,
            "digest": str(self.digest),
            "accepted": self.accepted,
            "slsaBuildLevel": self.level if self.accepted else 0,
            "checks": [check.document() for check in self.checks],
        }

    def lines(self) -> list[str]:
        """For people: one line a failure, its details indented."""
        found: list[str] = []
        for check in self.failures:
            found.append(f"{check.digest.short}: {check.message}")
            found.extend(f"  {detail}" for detail in check.details)
        return found

    def require(self) -> None:
        """Raise `VerificationError` unless the image is accepted."""
        if self.accepted:
            return
        first = self.failures[0].message if self.failures else "nothing was checked"
        more = len(self.failures) - 1
        suffix = f" (and {more} more)" if more > 0 else ""
        raise VerificationError(f"{self.name} is refused: {first}{suffix}", details=self.lines())
