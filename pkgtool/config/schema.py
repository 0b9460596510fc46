"""The schema of build.yml and pkgtool.yml: which keys there are, what type each has, what each means.

Keys, defaults and meanings of build.yml up to `depends.docker-images` are LinuxKit's (`pkglib`); the others are
ours. What is read here is turned into `pkgtool.model` at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pkgtool.config.runtime import RUNTIME_CONFIG
from pkgtool.config.typed import BOOLEAN, INTEGER, TEXT, key, list_of, map_of, struct

MAX_EPOCH = 0o77777777777
"""Seconds since 1970: what fits into a tar header, a day in the year 2242."""
LINUXKIT_SOURCE = "https://github.com/linuxkit/linuxkit"


@dataclass(frozen=True, slots=True)
class DockerImagesFile:
    """Images, pinned by digest, that are laid into the build context as files."""

    list: tuple[str, ...] = key("list", list_of(TEXT), "References with digests.", default=())
    from_file: str = key("from-file", TEXT, "A file with one reference a line.", default="")
    target: str = key("target", TEXT, "One file in the context for all of them.", default="")
    target_dir: str = key("target-dir", TEXT, "A directory in the context with one file for each.", default="")


@dataclass(frozen=True, slots=True)
class DependsFile:
    """What a package is built from, inside its own tree."""

    docker_images: DockerImagesFile = key(
        "docker-images", struct(DockerImagesFile), "Images that are laid into the context.", default=DockerImagesFile()
    )
    packages: tuple[str, ...] = key("packages", list_of(TEXT), "Packages this image is FROM.", default=())
    tools: tuple[str, ...] = key("tools", list_of(TEXT), "Packages whose programs run in the build.", default=())


@dataclass(frozen=True, slots=True)
class DebianFile:
    """Debian packages by name; the lock pins every .deb of their closure."""

    suite: str = key("suite", TEXT, "A release of Debian, for example trixie.")
    packages: tuple[str, ...] = key("packages", list_of(TEXT), "Names of Debian packages.", not_empty=True)
    components: tuple[str, ...] = key("components", list_of(TEXT), "Parts of the archive.", default=("main",))


@dataclass(frozen=True, slots=True)
class FileFile:
    """One file from a URL; it appears as inputs/files/NAME."""

    name: str = key("name", TEXT, "The file's name in inputs/files/.")
    url: str = key("url", TEXT, "Where it comes from.")
    mirrors: tuple[str, ...] = key("mirrors", list_of(TEXT), "Further places.", default=())
    sha256: str = key("sha256", TEXT, "What the file must be, if upstream says so.", default="", pattern="[0-9a-f]{64}")
    signature: str = key("signature", TEXT, "The URL of a detached OpenPGP signature.", default="")
    keyring: str = key("keyring", TEXT, "A file of the package with the keys that may sign.", default="")


@dataclass(frozen=True, slots=True)
class GitFile:
    """One commit of a git repository; its files appear in inputs/git/NAME/."""

    name: str = key("name", TEXT, "The directory's name in inputs/git/.")
    url: str = key("url", TEXT, "The repository.")
    ref: str = key("ref", TEXT, "A commit, tag or branch; the lock pins the commit.")


@dataclass(frozen=True, slots=True)
class GoFile:
    """The directory of a go.mod and go.sum; its modules appear as a module proxy in inputs/go/."""

    path: str = key("path", TEXT, "The directory of go.mod and go.sum.")


@dataclass(frozen=True, slots=True)
class InputsFile:
    """All that a package takes from outside the tree; pinned in inputs.lock."""

    debian: DebianFile | None = key("debian", struct(DebianFile), "Debian packages.", default=None)
    files: tuple[FileFile, ...] = key("files", list_of(struct(FileFile)), "Single files.", default=())
    git: tuple[GitFile, ...] = key("git", list_of(struct(GitFile)), "Commits of git repositories.", default=())
    go: tuple[GoFile, ...] = key("go", list_of(struct(GoFile)), "Go modules.", default=())


@dataclass(frozen=True, slots=True)
class RootfsFile:
    """A root file system made by mmdebstrap from the locked Debian packages, instead of a Dockerfile."""

    variant: str = key(
        "variant", TEXT, "mmdebstrap's.", default="essential", pattern="custom|essential|apt|required|minbase|extract"
    )
    setup: str = key("setup", TEXT, "A script of the package that runs in the finished system.", default="")
    exclude: tuple[str, ...] = key("exclude", list_of(TEXT), "dpkg path patterns not to unpack.", default=())
    env: tuple[str, ...] = key("env", list_of(TEXT), "The image's environment variables, NAME=VALUE.", default=())
    command: tuple[str, ...] = key("command", list_of(TEXT), "What the image runs.", default=())


@dataclass(frozen=True, slots=True)
class BuildFile:
    """build.yml: what a package is."""

    image: str = key("image", TEXT, "The image's name without the organisation.")
    org: str = key("org", TEXT, "The organisation; default: the tree's, else linuxkit.", default="")
    tag: str = key("tag", TEXT, "A template of the tag; {{.Hash}} is its only field and the default.", default="")
    dockerfile: str = key("dockerfile", TEXT, "The Dockerfile's path in the package; default: Dockerfile.", default="")
    arches: tuple[str, ...] | None = key(
        "arches", list_of(TEXT), "Architectures; an empty list: the package is skipped.", default=None, empty_means=()
    )
    extra_sources: tuple[str, ...] = key("extra-sources", list_of(TEXT), "More of the tree: SRC:DST.", default=())
    gitrepo: str = key("gitrepo", TEXT, "The repository that the label and SOURCE name.", default="")
    network: bool = key("network", BOOLEAN, "Whether build steps get the network.", default=False)
    disable_cache: bool = key("disable-cache", BOOLEAN, "Whether the engine's cache is left aside.", default=False)
    build_args: tuple[str, ...] = key(
        "buildArgs", list_of(TEXT), "K=V, K=@lkt:pkg:PATH or K_%=@lkt:pkgs:GLOB.", default=()
    )
    config: Mapping[str, Any] | None = key("config", RUNTIME_CONFIG, "The runtime configuration.", default=None)
    depends: DependsFile = key("depends", struct(DependsFile), "What the package is built from.", default=DependsFile())
    inputs: InputsFile | None = key("inputs", struct(InputsFile), "What it takes from outside the tree.", default=None)
    rootfs: RootfsFile | None = key(
        "rootfs", struct(RootfsFile), "A root file system instead of a Dockerfile.", default=None
    )


@dataclass(frozen=True, slots=True)
class CIFile:
    """How a CI system runs this tree."""

    runners: Mapping[str, str] = key("runners", map_of(TEXT), "The runner label for each platform.", default=None)
    shards: int = key("shards", INTEGER, "How many jobs at most share a wave and platform.", default=4, minimum=1)


@dataclass(frozen=True, slots=True)
class SigningFile:
    """How this tree's packages are signed, where the command line does not say."""

    private_key: str = key("key", TEXT, "A private key: a path, or a URI such as pkcs11:… or awskms:….", default="")
    keyless: bool = key("keyless", BOOLEAN, "Sign as the identity that the surroundings give.", default=False)
    trust_config: str = key("trust-config", TEXT, "A sigstore instance of one's own (keyless).", default="")
    signing_config: str = key("signing-config", TEXT, "Where signatures are recorded (with a key).", default="")
    trusted_root: str = key("trusted-root", TEXT, "The keys of the log, to find one's own records again.", default="")


@dataclass(frozen=True, slots=True)
class EngineFile:
    """A builder, on this machine or another one."""

    endpoint: str = key("endpoint", TEXT, "tcp://, unix://, ssh://, kube-pod://, buildx://, docker+tcp://, … or local.")
    name: str = key("name", TEXT, "What reports call it; default: its address.", default="")
    platforms: tuple[str, ...] = key("platforms", list_of(TEXT), "What it builds for; default: it says.", default=())
    ca: str = key("ca", TEXT, "The CA that signed its certificate (PEM); relative to this file.", default="")
    certificate: str = key("cert", TEXT, "Our client certificate.", default="")
    private_key: str = key("key", TEXT, "The key of our certificate.", default="")
    server_name: str = key("server-name", TEXT, "The name in its certificate, if it is not its host.", default="")
    jobs: int | None = key("jobs", INTEGER, "Steps at a time; default 2.", default=None, minimum=1)


@dataclass(frozen=True, slots=True)
class KernelsFile:
    """Who signs kernel modules and kernels; default: a key made for this checkout, good for development alone."""

    certificate: str = key("certificate", TEXT, "The certificate that kernels trust, PEM or DER.", default="")
    private_key: str = key("key", TEXT, "Its key: a path, or a URI such as pkcs11:… or awskms:….", default="")
    secure_boot_certificate: str = key("secure-boot-certificate", TEXT, "What firmware trusts, PEM.", default="")
    secure_boot_key: str = key("secure-boot-key", TEXT, "Its key, a PEM file.", default="")


@dataclass(frozen=True, slots=True)
class TreeFile:
    """pkgtool.yml: the defaults of a tree."""

    org: str = key("org", TEXT, "The organisation in references.", default="")
    platforms: tuple[str, ...] = key("platforms", list_of(TEXT), "What push builds for.", default=())
    packages: tuple[str, ...] = key("packages", list_of(TEXT), "Globs of package directories.", default=("pkg/*", "."))
    source: str = key("source", TEXT, "The repository that labels name, where build.yml has no gitrepo.", default="")
    source_date_epoch: int | None = key(
        "source-date-epoch", INTEGER, "Seconds since 1970.", default=None, minimum=1, maximum=MAX_EPOCH
    )
    registry: str = key("registry", TEXT, "Where push and pull go: host[:port][/prefix].", default="")
    insecure_registries: tuple[str, ...] = key("insecure-registries", list_of(TEXT), "Plain HTTP.", default=())
    store: str = key("store", TEXT, "The local store; a relative path starts at this file.", default="")
    mirrors: Mapping[str, str] = key("mirrors", map_of(TEXT), "URL prefixes and what replaces them.", default=None)
    signing: SigningFile = key("signing", struct(SigningFile), default=SigningFile())
    policy: str = key("policy", TEXT, "What must be true of images that are pulled (policy.yml).", default="")
    ci: CIFile = key("ci", struct(CIFile), default=CIFile())
    kernels: KernelsFile = key("kernels", struct(KernelsFile), default=KernelsFile())
    engines: tuple[EngineFile, ...] = key(
        "engines", list_of(struct(EngineFile)), "Builders; default: this machine.", default=()
    )
    debian_mirror: str = key("debian-mirror", TEXT, "Debian's archive.", default="http://deb.debian.org/debian")
    debian_snapshot: str = key(
        "debian-snapshot",
        TEXT,
        "Where older versions of Debian's packages are.",
        default="https://snapshot.debian.org/archive/debian",
    )
