"""The schema of policy.yml. What comes out is turned into `pkgtool.policy.model` at once."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from pkgtool.config.scalars import Boolean, Integer, Text
from pkgtool.config.schema import Strict


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[list[Text], BeforeValidator(_one_or_more)]


class SignerSchema(Strict):
    """A key, or an identity with its issuer."""

    key: Text = Field(default="", description="A public key file; a relative path starts at this file.")
    identity: Text = Field(default="", description="The identity in the certificate, exactly.")
    identity_pattern: Text = Field(
        default="", alias="identity-pattern", description="A regular expression for all of it."
    )
    issuer: Text = Field(default="", description="The OIDC issuer's URL.")
    not_after: Text = Field(default="", alias="not-after", description="A date; later signatures don't count.")
    revoked: Text = Field(default="", description="A date from which signatures don't count, or 'always'.")


class RequirementSchema(Strict):
    """What signatures and attestations have in common."""

    by: Texts = Field(default=[], description="Names of signers; all of them, if absent.")
    count: Integer = Field(default=1, ge=1, description="How many different ones are needed.")
    on: Text = Field(default="all", pattern="^(all|index|platforms)$")
    log: Boolean | None = Field(
        default=None, description="Whether a trusted log must prove it; default: for identities."
    )
    timestamp: Boolean = Field(default=False, description="Whether a trusted time must be proven.")
    max_age: Text = Field(default="", alias="max-age", pattern=r"^([1-9][0-9]*[dhm])?$")


class SignaturesSchema(RequirementSchema):
    """Who must have signed."""

    annotations: dict[str, Text] = Field(default={}, description="Annotations that must be signed with it.")


class AttestationSchema(RequirementSchema):
    """A statement that must be there."""

    type: Text = Field(description="slsaprovenance1, spdxjson, cyclonedx, vsa, rebuild, or a URI.")
    builder: Texts = Field(default=[], description="Accepted builder ids.")
    level: Integer = Field(default=1, ge=0, le=3, description="The SLSA Build level that these builders have.")
    source: Text = Field(default="", description="The source repository's URL.")
    clean: Boolean = Field(default=False, description="Whether nothing may have been uncommitted.")
    hermetic: Boolean = Field(default=False, description="Whether no build step may have had a network.")
    dependencies: Text = Field(default="any", pattern="^(any|verified)$")


class ImageRuleSchema(Strict):
    """What images of a name must have."""

    match: Texts = Field(default=["*"], description="Globs of host and repository.")
    signatures: SignaturesSchema = SignaturesSchema.model_construct()
    attestations: list[AttestationSchema] = Field(default=[])
    platforms: list[Text] = Field(default=[], description="Platforms that an index must hold.")


class PolicySchema(Strict):
    """policy.yml: what must be true of images."""

    model_config = ConfigDict(title="policy.yml")

    signers: dict[str, SignerSchema] = Field(min_length=1)
    images: list[ImageRuleSchema] = Field(min_length=1)
    release: SignaturesSchema | None = Field(default=None, description="Who must have signed a release file.")
    trusted_root: Text = Field(default="", alias="trusted-root", description="A sigstore trusted root.")
