"""The schema of policy.yml. What is read here is turned into `pkgtool.policy.model` at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pkgtool.config.typed import BOOLEAN, INTEGER, TEXT, key, list_of, map_of, struct


@dataclass(frozen=True, slots=True)
class SignerFile:
    """A key, or an identity with its issuer."""

    key_file: str = key("key", TEXT, "A public key file; a relative path starts at this file.", default="")
    identity: str = key("identity", TEXT, "The identity in the certificate, exactly.", default="")
    identity_pattern: str = key("identity-pattern", TEXT, "A regular expression for all of it.", default="")
    issuer: str = key("issuer", TEXT, "The OIDC issuer's URL.", default="")
    not_after: str = key("not-after", TEXT, "A date; later signatures don't count.", default="")
    revoked: str = key("revoked", TEXT, "A date from which signatures don't count, or 'always'.", default="")


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """What signatures and attestations have in common."""

    by: tuple[str, ...] = key("by", list_of(TEXT), "Names of signers; all of them, if absent.", default=())
    count: int = key("count", INTEGER, "How many different ones are needed.", default=1, minimum=1)
    on: str = key("on", TEXT, "Which digests need it.", default="all", pattern="all|index|platforms")
    log: bool | None = key(
        "log", BOOLEAN, "Whether a trusted log must prove it; default: for identities, not for keys.", default=None
    )
    timestamp: bool = key("timestamp", BOOLEAN, "Whether its time must be proven.", default=False)
    max_age: str = key("max-age", TEXT, "How old it may be: 90d, 12h, 30m.", default="", pattern="[1-9][0-9]*[dhm]")


@dataclass(frozen=True, slots=True)
class SignaturesFile(ClaimFile):
    """Who must have signed."""

    annotations: Mapping[str, str] | None = key(
        "annotations", map_of(TEXT), "Annotations that must be signed with it.", default=None
    )


@dataclass(frozen=True, slots=True)
class AttestationFile(ClaimFile):
    """A statement that must be there."""

    type: str = key("type", TEXT, "slsaprovenance1, spdxjson, cyclonedx, vsa, rebuild, or a URI.")
    builder: tuple[str, ...] | None = key("builder", list_of(TEXT), "Accepted builder ids.", default=None)
    level: int | None = key("level", INTEGER, "The SLSA Build level of these builders.", default=None, minimum=0)
    source: str | None = key("source", TEXT, "The source repository's URL.", default=None)
    commit: tuple[str, ...] | None = key(
        "commit", list_of(TEXT), "The commits of which one was built, in full.", default=None
    )
    clean: bool | None = key("clean", BOOLEAN, "Whether nothing may have been uncommitted.", default=None)
    hermetic: bool | None = key("hermetic", BOOLEAN, "Whether no step may have had a network.", default=None)
    dependencies: str | None = key(
        "dependencies", TEXT, "Whether what it was built from is verified too.", default=None, pattern="any|verified"
    )


@dataclass(frozen=True, slots=True)
class ImageRuleFile:
    """What images of a name must have."""

    match: tuple[str, ...] = key("match", list_of(TEXT), "Globs of host and repository.", default=("*",))
    signatures: SignaturesFile = key("signatures", struct(SignaturesFile), default=SignaturesFile())
    attestations: tuple[AttestationFile, ...] = key("attestations", list_of(struct(AttestationFile)), default=())
    platforms: tuple[str, ...] = key("platforms", list_of(TEXT), "Platforms that an index must hold.", default=())


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """policy.yml: what must be true of images."""

    signers: Mapping[str, SignerFile] = key(
        "signers", map_of(struct(SignerFile)), "By names of your own.", not_empty=True
    )
    images: tuple[ImageRuleFile, ...] = key(
        "images", list_of(struct(ImageRuleFile)), "The first rule whose pattern matches counts.", not_empty=True
    )
    release: SignaturesFile | None = key("release", struct(SignaturesFile), "Who signs releases.", default=None)
    trusted_root: str = key("trusted-root", TEXT, "A sigstore trusted root; a relative path starts here.", default="")
