"""What a tree of packages is, once its files have been read and found right.

Frozen data without behaviour that touches disk, git, network or clock. `pkgtool.config` makes it,
everything else only reads it. Paths are POSIX paths relative to the tree's root unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pkgtool.nodes import Node
from pkgtool.values import Platform

DEFAULT_ORG = "linuxkit"
RUNTIME_CONFIG_LABEL = "org.mobyproject.config"
"""LinuxKit reads an image's runtime configuration, as JSON, from this label."""
DEFAULT_SOURCE_DATE_EPOCH = 1577836800
"""2020-01-01T00:00:00Z. Not 0: shadow(5) reads day 0 as "the password must be changed now"."""


class Role(StrEnum):
    """How a package uses another one."""

    PACKAGE = "package"
    """The image is FROM it: it is needed for the target platform."""
    TOOL = "tool"
    """Its programs run during the build: it is needed for the build platform only."""
    REFERENCE = "reference"
    """LinuxKit's `@lkt:` build argument: its reference is passed, and it may be FROM it (target platform)."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One edge of the graph; `name` is the other package's name in the same tree.

    `written_at` is the path inside build.yml where the edge stands, for messages.
    """

    name: str
    role: Role
    written_at: tuple[str | int, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class ContextPath:
    """A file or directory of the tree that is put at `destination` in the build context (`""` is its top)."""

    path: str
    destination: str


@dataclass(frozen=True, slots=True)
class BuildArg:
    """A build argument. `value` is literal, or `refers_to` names packages whose references become the values.

    For `refers_to`, a `%` in `name` stands for ORG_IMAGE of each package (LinuxKit's `@lkt:pkgs:`).
    """

    name: str
    value: str = ""
    refers_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DebianInput:
    """Debian packages by name; the lock holds every .deb of their closure, per architecture.

    What the packages this one is FROM already hold is left out of the closure.
    """

    suite: str
    packages: tuple[str, ...]
    components: tuple[str, ...] = ("main",)


@dataclass(frozen=True, slots=True)
class FileInput:
    """One file from a URL; it appears as `inputs/files/NAME`. `signature` is the URL of a detached signature."""

    name: str
    url: str
    mirrors: tuple[str, ...] = ()
    sha256: str = ""
    signature: str = ""
    keyring: str = ""


@dataclass(frozen=True, slots=True)
class GitInput:
    """One commit of a git repository; its files appear as `inputs/git/NAME/`."""

    name: str
    url: str
    ref: str


@dataclass(frozen=True, slots=True)
class GoInput:
    """The modules that a go.sum in the package names; they appear as a module proxy in `inputs/go/`."""

    path: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a package takes from outside the tree, as build.yml names it.

    If they are `pinned`, each says its own sha256 or commit, and there is no lock.
    """

    debian: DebianInput | None = None
    files: tuple[FileInput, ...] = ()
    git: tuple[GitInput, ...] = ()
    go: tuple[GoInput, ...] = ()
    pinned: bool = False

    def __bool__(self) -> bool:
        return bool(self.debian or self.files or self.git or self.go)


@dataclass(frozen=True, slots=True)
class Rootfs:
    """A root file system made by mmdebstrap from the locked Debian packages, instead of a Dockerfile.

    `variant` is mmdebstrap's; `setup` is a script of the package that runs in it afterwards; `exclude` are
    dpkg path patterns that are not unpacked, `!PATTERN` takes one back (dpkg's path-exclude and path-include,
    the last match decides); `env`, `command` go into the image's configuration.
    """

    variant: str = "essential"
    setup: str = ""
    exclude: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DockerImages:
    """LinuxKit's `depends.docker-images`: images pinned by digest that are laid into the context as files."""

    images: tuple[str, ...]
    target: str = ""
    target_dir: str = ""


@dataclass(frozen=True, slots=True)
class Seal:
    """A kernel image made from the unsigned one of the package `unsigned`, by signing its modules.

    `certificate` (DER) is compiled into that kernel; `hash` is what modules are signed with. `secure_boot` is the
    sha256 of the certificate that firmware trusts, or empty for a kernel that is not signed for firmware.
    """

    unsigned: str
    certificate: bytes
    hash: str
    secure_boot: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A directory with a build.yml; it becomes one image per platform, and one index."""

    name: str
    org: str
    path: str
    tag_template: str
    platforms: tuple[Platform, ...]
    context: tuple[ContextPath, ...]
    source_url: str
    source_date_epoch: int
    dockerfile: str = "Dockerfile"
    network: bool = False
    cache: bool = True
    build_args: tuple[BuildArg, ...] = ()
    outside_args: tuple[BuildArg, ...] = ()
    """Build arguments that no file of the package determines (command line, argument files)."""
    runtime_config: str = ""
    """The JSON of the label `org.mobyproject.config`, or empty."""
    dependencies: tuple[Dependency, ...] = ()
    inputs: Inputs = Inputs()
    rootfs: Rootfs | None = None
    docker_images: DockerImages | None = None
    outside_settings: tuple[tuple[str, str], ...] = ()
    """What the tree's pkgtool.yml or the command line decides for this package and no file of it does."""
    build_file: str = "build.yml"
    """The path of its build.yml."""
    image: str = ""
    """The image's name where it is not the package's own: all kernels are in one repository."""
    seal: Seal | None = None
    usual_objects: int = 0
    """About how many objects a kernel's build compiles, 0 if unknown: for its progress, and in no tag."""

    @property
    def repository(self) -> str:
        """`org/name`, as in a reference."""
        image = self.image or self.name
        return f"{self.org}/{image}" if self.org else image

    @property
    def lock_path(self) -> str:
        """Where the lock of its inputs lies."""
        return f"{self.path}/inputs.lock" if self.path else "inputs.lock"


@dataclass(frozen=True, slots=True)
class CISettings:
    """How a CI system runs the tree: a runner label for each platform, and jobs per wave and platform at most."""

    runners: tuple[tuple[Platform, str], ...] = ()
    shards: int = 4


@dataclass(frozen=True, slots=True)
class SigningSettings:
    """How the tree's packages are signed unless the command line says otherwise; paths start at the tree's root."""

    key: str = ""
    keyless: bool = False
    trust_config: str = ""
    signing_config: str = ""
    trusted_root: str = ""


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """Who signs kernel modules and kernels. Paths start at the tree's root; a key may be a URI, too."""

    certificate: str = ""
    key: str = ""
    secure_boot_certificate: str = ""
    secure_boot_key: str = ""


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """pkgtool.yml: the defaults of a whole tree. All of it may be absent."""

    org: str = ""
    platforms: tuple[Platform, ...] = ()
    packages: tuple[str, ...] = ("pkg/*", ".")
    source_url: str = ""
    source_date_epoch: int | None = None
    registry: str = ""
    store: str = ""
    mirrors: tuple[tuple[str, str], ...] = ()
    """URL prefixes and what replaces them, longest prefix first."""
    debian_mirror: str = "http://deb.debian.org/debian"
    debian_snapshot: str = "https://snapshot.debian.org/archive/debian"
    debian_security_mirror: str = "http://deb.debian.org/debian-security"
    """Where SUITE-security comes from; empty leaves security updates to the next point release."""
    debian_security_snapshot: str = "https://snapshot.debian.org/archive/debian-security"
    insecure_registries: tuple[str, ...] = ()
    ci: CISettings = CISettings()
    kernels: KernelSettings = KernelSettings()
    signing: SigningSettings = SigningSettings()
    policy: str = ""
    """The path of the policy that images from a registry must satisfy; empty: policy.yml if there is one."""
    engines: tuple[Node, ...] = ()
    """Builders, in the order of the file; their TLS files relative to it."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tree of packages, by name. `root` is an absolute path on this machine."""

    root: str
    settings: TreeSettings
    packages: Mapping[str, Package]
