"""A policy, once its file has been read and found right. Frozen data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from pkgtool.signing.certificates import Identity
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.statements.statement import SIGN
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.signing.verify.evidence import Trust
from pkgtool.values import Digest, Platform


class Scope(StrEnum):
    """Which digests of a published image a requirement is about."""

    ALL = "all"
    INDEX = "index"
    PLATFORMS = "platforms"


@dataclass(frozen=True, slots=True)
class SignerRule:
    """One signer under a name of the policy's own: a key, or an identity and who vouches for it."""

    name: str
    key: PublicKey | None = None
    identity: str = ""
    identity_pattern: re.Pattern[str] | None = None
    """Must match the whole identity."""
    issuer: str = ""
    not_after: datetime | None = None
    revoked: datetime | None = None
    """Signatures proven to be older still count."""

    def matches(self, signer: PublicKey | Identity) -> bool:
        if isinstance(signer, PublicKey):
            return self.key == signer
        if self.key or signer.issuer != self.issuer:
            return False
        if self.identity_pattern:
            return bool(self.identity_pattern.fullmatch(signer.subject))
        return signer.subject == self.identity


@dataclass(frozen=True, slots=True)
class ProvenanceRule:
    """What a provenance statement must say."""

    builders: tuple[str, ...] = ()
    """Accepted builder ids; empty: any."""
    level: int = 1
    """The SLSA Build level that the policy's author grants to these builders."""
    source: str = ""
    commits: tuple[str, ...] = ()
    """Accepted commits; empty: any."""
    clean: bool = False
    hermetic: bool = False
    dependencies_verified: bool = False


@dataclass(frozen=True, slots=True)
class Requirement:
    """One kind of claim that must be there, by enough of the right signers."""

    predicate_type: str = SIGN
    by: tuple[str, ...] = ()
    count: int = 1
    scope: Scope = Scope.ALL
    log: bool | None = None
    """Whether a trusted log must prove it; None: for identities, not for keys. A certificate lives ten minutes, and
    without a log nobody would ever see that it was misused."""
    timestamp: bool = False
    max_age: timedelta | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    provenance: ProvenanceRule | None = None


@dataclass(frozen=True, slots=True)
class ImageRule:
    """What images with a matching name (host and repository) must have."""

    match: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    platforms: tuple[Platform, ...] = ()

    def applies_to(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.match)


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules; the first that matches an image's name is the one that counts."""

    file: str
    digest: Digest
    """Of the policy file's bytes."""
    signers: Mapping[str, SignerRule]
    rules: tuple[ImageRule, ...]
    release: Requirement | None = None
    root: TrustedRoot | None = None

    @property
    def trust(self) -> Trust:
        """All the keys that the policy names (revoked ones too, to say so) and its trusted root."""
        return Trust(tuple(each.key for each in self.signers.values() if each.key), self.root)

    def rule_for(self, name: str) -> ImageRule | None:
        return next((rule for rule in self.rules if rule.applies_to(name)), None)
