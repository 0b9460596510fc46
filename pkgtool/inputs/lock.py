"""What a lock file says: every input of a package, by hash.

Each part holds both the question (what build.yml asked for) and the answer (what was found), so that a stale
lock can be told, and explained, without network. Frozen data; `lock_reader` and `lock_writer` are its text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pkgtool.model import FileInput, GitInput
from pkgtool.values import Digest

FORMAT = 1
ALL = "all"
"""Debian's name for "every architecture"."""


@dataclass(frozen=True, slots=True)
class Content:
    """Some bytes, by their sha256 and their number."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Archive:
    """One suite of a Debian archive at the moment of locking.

    `name` is `debian` or `debian-security`; `date` and `inrelease` (the file's sha256) are those of the signed
    InRelease file that was verified, and name the state in the snapshot archive.
    """

    name: str
    suite: str
    date: datetime
    inrelease: Digest


@dataclass(frozen=True, slots=True, order=True)
class Deb:
    """One .deb. `path` is relative to its archive's top; `architectures` are those whose closure holds it."""

    name: str
    arch: str
    version: str
    architectures: tuple[str, ...]
    archive: str
    path: str
    content: Content

    @property
    def file_name(self) -> str:
        """The last part of its path in the pool."""
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.arch}"


@dataclass(frozen=True, slots=True)
class DebianRequest:
    """The question behind the Debian part of a lock.

    `variant` is mmdebstrap's for a root file system, else empty. `suites` are pairs of archive and suite.
    `parents` are the packages whose own Debian packages were taken as installed, nearest last, each with
    `DebianLock.identity`.
    """

    suites: tuple[tuple[str, str], ...]
    components: tuple[str, ...]
    packages: tuple[str, ...]
    variant: str
    architectures: tuple[str, ...]
    parents: tuple[tuple[str, Digest], ...] = ()


@dataclass(frozen=True, slots=True)
class DebianLock:
    """The closure of the named packages, per architecture, less what the parents hold."""

    request: DebianRequest
    archives: tuple[Archive, ...]
    debs: tuple[Deb, ...]

    def for_architecture(self, arch: str) -> tuple[Deb, ...]:
        """The closure on one architecture, its `all` packages included."""
        return tuple(deb for deb in self.debs if arch in deb.architectures)

    def identity(self, architectures: Iterable[str]) -> Digest:
        """A digest of the versions on these architectures: all that a package FROM this one depends on."""
        lines = [
            f"{arch} {deb.name} {deb.version} {deb.arch}\n"
            for arch in sorted(set(architectures))
            for deb in self.for_architecture(arch)
        ]
        return Digest.of("".join(sorted(lines)).encode())


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file from a URL. `date` is the newest time inside it, where it is an archive that has times."""

    request: FileInput
    content: Content
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class LockedGit:
    """A commit. `content` is the canonical tar of its tree, `date` the committer's."""

    request: GitInput
    commit: str
    content: Content
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class GoModule:
    """A module version: its go.mod, and its source unless go.sum names the go.mod alone."""

    module: str
    version: str
    mod: Content
    zip: Content | None = None

    def __str__(self) -> str:
        return f"{self.module}@{self.version}"


@dataclass(frozen=True, slots=True)
class GoLock:
    """The modules that the go.sum files name; `sums` pairs each file's path with its sha256."""

    sums: tuple[tuple[str, Digest], ...]
    modules: tuple[GoModule, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """A whole lock file. `date` becomes SOURCE_DATE_EPOCH; it is the newest date that the inputs themselves bear."""

    date: datetime | None = None
    debian: DebianLock | None = None
    files: tuple[LockedFile, ...] = ()
    git: tuple[LockedGit, ...] = ()
    go: GoLock | None = None

    @property
    def source_date_epoch(self) -> int | None:
        """Seconds since 1970, or None where no input bears a date."""
        return int(self.date.timestamp()) if self.date else None

    @property
    def names(self) -> frozenset[str]:
        """What inputs are called: Debian packages, files, repositories, Go modules."""
        found = {file.request.name for file in self.files} | {git.request.name for git in self.git}
        found |= {deb.name for deb in self.debian.debs} if self.debian else set()
        found |= {module.module for module in self.go.modules} if self.go else set()
        return frozenset(found)

    @property
    def contents(self) -> frozenset[Digest]:
        """What the store keeps of all inputs."""
        debs = self.debian.debs if self.debian else ()
        modules = self.go.modules if self.go else ()
        found = [deb.content for deb in debs]
        found += [file.content for file in self.files]
        found += [git.content for git in self.git]
        found += [part for module in modules for part in (module.mod, module.zip) if part]
        return frozenset(content.digest for content in found)


def newest_date(lock: Lock) -> datetime | None:
    """The newest date that the inputs bear: of the archives, the commits and inside the files."""
    dates = [archive.date for archive in lock.debian.archives] if lock.debian else []
    dates += [file.date for file in lock.files if file.date]
    dates += [git.date for git in lock.git if git.date]
    return max(dates, default=None)
