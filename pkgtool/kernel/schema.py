"""The schemas of kernel/series/*.yml and kernel/hardening.yml: which keys there are and what each means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pkgtool.config.typed import BOOLEAN, INTEGER, TEXT, key, list_of, map_of, struct


@dataclass(frozen=True, slots=True)
class DebianSourceFile:
    """Where in Debian's archive the source package stands, so that the next version can be found."""

    suite: str = key("suite", TEXT)
    package: str = key("package", TEXT)
    version: str = key("version", TEXT)


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One release: its source, pinned, and the patches it needs."""

    url: str = key("url", TEXT, "A tarball or a Debian linux-source package.", default="")
    sha256: str = key("sha256", TEXT, "Of the file at `url`.", default="", pattern="[0-9a-f]{64}")
    git: str = key("git", TEXT, "A repository, instead of `url`.", default="")
    commit: str = key("commit", TEXT, "The commit in it.", default="", pattern="[0-9a-f]{40}")
    mirrors: tuple[str, ...] = key("mirrors", list_of(TEXT), "Other places of the same file.", default=())
    patches: tuple[str, ...] = key("patches", list_of(TEXT), "Files in kernel/patches, in order.", default=())
    debian: DebianSourceFile | None = key("debian", struct(DebianSourceFile), default=None)


@dataclass(frozen=True, slots=True)
class SignatureFile:
    """Upstream's signature of a release; `{version}` in the URL is the release."""

    url: str = key("url", TEXT)
    signers: tuple[str, ...] = key("signers", list_of(TEXT), "Fingerprints of OpenPGP keys.", not_empty=True)
    of: str = key("of", TEXT, "kernel.org signs the uncompressed tar.", default="file", pattern="file|tar")


@dataclass(frozen=True, slots=True)
class ModulesFile:
    """How modules are signed and whether the kernel insists."""

    hash: str = key("hash", TEXT, default="sha256", pattern="sha256|sha384|sha512")
    enforce: bool = key("enforce", BOOLEAN, default=True)


@dataclass(frozen=True, slots=True)
class SeriesFile:
    """One kernel line."""

    series: str = key("series", TEXT, pattern=r"\d+\.\d+")
    version: str = key("version", TEXT, "The release that is built unless another is named.")
    end_of_life: str = key("end-of-life", TEXT, pattern=r"\d{4}-\d{2}-\d{2}")
    releases: Mapping[str, ReleaseFile] = key("releases", map_of(struct(ReleaseFile)), not_empty=True)
    compiler: str = key("compiler", TEXT, "The compiler's name without a prefix.", pattern=r"gcc-\d+")
    platforms: tuple[str, ...] = key("platforms", list_of(TEXT), not_empty=True)
    configuration: Mapping[str, tuple[str, ...]] = key(
        "configuration", map_of(list_of(TEXT)), "Variants: fragments in order.", not_empty=True
    )
    signature: SignatureFile | None = key("signature", struct(SignatureFile), default=None)
    mirrors: tuple[str, ...] = key(
        "mirrors", list_of(TEXT), "For every release; `{version}` is the release.", default=()
    )
    tool: str = key("tool", TEXT, "The package whose image has the compiler.", default="kernel-build")
    modules: ModulesFile = key("modules", struct(ModulesFile), default=ModulesFile())
    objects: Mapping[str, int] = key(
        "objects",
        map_of(INTEGER),
        "Variants: about how many objects a build compiles, for progress alone.",
        default=None,
    )


@dataclass(frozen=True, slots=True)
class AllowedGroup:
    """Findings of kernel-hardening-checker that stay for one reason."""

    reason: str = key("reason", TEXT, pattern=r"\S.*")
    options: tuple[str, ...] = key("options", list_of(TEXT), "Such as CONFIG_AIO.", not_empty=True)
    variants: tuple[str, ...] = key("variants", list_of(TEXT), "Default: all.", default=())
    platforms: tuple[str, ...] = key("platforms", list_of(TEXT), "Architectures; default: all.", default=())
    since: str = key("since", TEXT, "The first series it is for.", default="", pattern=r"\d+\.\d+")
    until: str = key("until", TEXT, "The last series it is for.", default="", pattern=r"\d+\.\d+")


@dataclass(frozen=True, slots=True)
class AllowedFile:
    """kernel/hardening.yml."""

    allowed: tuple[AllowedGroup, ...] = key("allowed", list_of(struct(AllowedGroup)), default=())
