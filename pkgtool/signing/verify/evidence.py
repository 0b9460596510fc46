"""What verification finds: claims that were proven, and things that were refused, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pkgtool.signing.certificates import Identity
from pkgtool.signing.log.check import Logged
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.values import Digest


class Format(StrEnum):
    """How a claim was kept in the repository."""

    BUNDLE = "bundle"
    CLASSIC = "classic"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: keys, and a trusted root for certificates, logs and timestamps."""

    keys: tuple[PublicKey, ...] = ()
    root: TrustedRoot | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One claim about one manifest whose signature is good. Whether its signer matters is for a policy to say."""

    digest: Digest
    """The manifest or index that the claim is about."""
    signer: PublicKey | Identity
    predicate_type: str
    predicate: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    """Signed annotations: those of the subject, or a classic signature's `optional`."""
    format: Format = Format.BUNDLE
    source: Digest | None = None
    """The bundle or layer that holds the claim."""
    logged: tuple[Logged, ...] = ()
    timestamps: tuple[datetime, ...] = ()

    @property
    def times(self) -> tuple[datetime, ...]:
        """All the times at which somebody trusted saw the signature."""
        return (*self.timestamps, *(entry.time for entry in self.logged if entry.time))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something beside the image that proves nothing, and why."""

    digest: Digest
    reason: str
    format: Format = Format.BUNDLE
    source: Digest | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found about one manifest."""

    digest: Digest
    evidence: tuple[Evidence, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.digest, self.evidence + other.evidence, self.refusals + other.refusals)
