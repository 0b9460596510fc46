"""The schema of kernel/series/*.yml: which keys there are and what each means."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pkgtool.config.scalars import Boolean, Text
from pkgtool.config.schema import Strict


class DebianSourceSchema(Strict):
    """Where in Debian's archive the source package stands, so that the next version can be found."""

    suite: Text
    package: Text
    version: Text


class ReleaseSchema(Strict):
    """One release: its source, pinned, and the patches it needs."""

    url: Text = Field(default="", description="A tarball or a Debian linux-source package.")
    sha256: Text = Field(default="", description="Of the file at `url`.")
    git: Text = Field(default="", description="A repository, instead of `url`.")
    commit: Text = Field(default="", description="The commit in it, 40 hex digits.")
    mirrors: list[Text] = Field(default=[], description="Other places of the same file.")
    patches: list[Text] = Field(default=[], description="Files in kernel/patches, in order.")
    debian: DebianSourceSchema | None = None


class SignatureSchema(Strict):
    """Upstream's signature of a release; `{version}` in the URL is the release."""

    url: Text
    of: Literal["file", "tar"] = Field(default="file", description="kernel.org signs the uncompressed tar.")
    signers: list[Text] = Field(min_length=1, description="Fingerprints of OpenPGP keys, 40 hex digits.")


class ModulesSchema(Strict):
    """How modules are signed and whether the kernel insists."""

    hash: Literal["sha256", "sha384", "sha512"] = "sha512"
    enforce: Boolean = True


class SeriesSchema(Strict):
    """One kernel line."""

    series: Text = Field(pattern=r"^\d+\.\d+$")
    version: Text = Field(description="The release that is built unless another is named.")
    end_of_life: Text = Field(alias="end-of-life", pattern=r"^\d{4}-\d{2}-\d{2}$")
    releases: dict[str, ReleaseSchema] = Field(min_length=1)
    signature: SignatureSchema | None = None
    mirrors: list[Text] = Field(default=[], description="For every release; `{version}` is the release.")
    compiler: Text = Field(pattern=r"^gcc-\d+$", description="The compiler's name without a prefix.")
    tool: Text = Field(default="kernel-build", description="The package of the tree whose image has the compiler.")
    platforms: list[Text] = Field(min_length=1)
    configuration: dict[str, list[Text]] = Field(min_length=1, description="Variants: fragments in order.")
    modules: ModulesSchema = ModulesSchema.model_construct(hash="sha512", enforce=True)
