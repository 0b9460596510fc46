"""The question that a lock answers, and whether an existing lock still answers it.

No network and no clock: build.yml, the package's go.sum files and the locks of the packages it is FROM
determine the question, and every lock repeats the question it was written for.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import ConfigError, Location
from pkgtool.inputs.architectures import debian_architectures
from pkgtool.inputs.lock import DebianRequest, Lock
from pkgtool.model import FileInput, GitInput, GoInput, Package, TreeSettings
from pkgtool.oci.files import hash_file
from pkgtool.values import Digest, Platform

Parents = Sequence[tuple[str, Lock]]
"""The packages that one is FROM, farthest first, with their locks."""

_WITHOUT_SECURITY = frozenset({"sid", "unstable", "experimental", "rc-buggy"})


@dataclass(frozen=True, slots=True)
class Request:
    """All that a package asks for, in the form its lock repeats it."""

    debian: DebianRequest | None
    files: tuple[FileInput, ...]
    git: tuple[GitInput, ...]
    go: tuple[tuple[str, Digest], ...]


def request_of(
    package: Package, parents: Parents, settings: TreeSettings, platforms: Sequence[Platform], directory: Path
) -> Request:
    """What `package` (its files in `directory`) asks for on `platforms`.

    Raises `ConfigError` if a go.sum it names is missing, or Debian has no such platform.
    """
    return Request(
        debian=_debian(package, parents, settings, platforms),
        files=tuple(sorted(package.inputs.files, key=lambda file: file.name)),
        git=tuple(sorted(package.inputs.git, key=lambda git: git.name)),
        go=tuple(sorted((path, _sum_digest(package, directory, path)) for path in map(_sum_path, package.inputs.go))),
    )


def answered(lock: Lock) -> Request:
    """The question that a lock repeats."""
    return Request(
        debian=lock.debian.request if lock.debian else None,
        files=tuple(file.request for file in lock.files),
        git=tuple(git.request for git in lock.git),
        go=lock.go.sums if lock.go else (),
    )


def staleness(lock: Lock | None, request: Request) -> tuple[str, ...]:
    """Why the lock does not answer the request, one sentence each; empty for a lock that does."""
    if lock is None:
        return ("there is no lock",) if request != Request(None, (), (), ()) else ()
    known = answered(lock)
    return (
        *_debian_changes(known.debian, request.debian),
        *_named_changes("file", {f.name: f for f in known.files}, {f.name: f for f in request.files}),
        *_named_changes("git repository", {g.name: g for g in known.git}, {g.name: g for g in request.git}),
        *_named_changes("Go checksums", dict(known.go), dict(request.go)),
    )


def _debian(
    package: Package, parents: Parents, settings: TreeSettings, platforms: Sequence[Platform]
) -> DebianRequest | None:
    wanted = package.inputs.debian
    if wanted is None:
        return None
    architectures = debian_architectures(platforms)
    suites = [("debian", wanted.suite)]
    if settings.debian_security_mirror and wanted.suite not in _WITHOUT_SECURITY:
        suites.append(("debian-security", f"{wanted.suite}-security"))
    return DebianRequest(
        suites=tuple(suites),
        components=wanted.components,
        packages=tuple(sorted(set(wanted.packages))),
        variant=package.rootfs.variant if package.rootfs else "",
        architectures=architectures,
        parents=tuple((name, lock.debian.identity(architectures)) for name, lock in parents if lock.debian),
    )


def _sum_path(module: GoInput) -> str:
    return posixpath.normpath(posixpath.join(module.path, "go.sum"))


def _sum_digest(package: Package, directory: Path, path: str) -> Digest:
    try:
        return hash_file(directory / path)
    except OSError as error:
        raise ConfigError(
            f"{package.name} takes Go modules from {path}, which can't be read: {error.strerror}",
            location=Location(package.build_file),
            hint="'go mod tidy' in the module's directory writes it",
        ) from error


def _debian_changes(known: DebianRequest | None, wanted: DebianRequest | None) -> Iterator[str]:
    if known is None or wanted is None:
        if known != wanted:
            yield "Debian packages are no longer asked for" if known else "Debian packages are asked for now"
        return
    yield from _set_changes("Debian package", known.packages, wanted.packages)
    yield from _set_changes("architecture", known.architectures, wanted.architectures)
    yield from _set_changes("suite", [suite for _, suite in known.suites], [suite for _, suite in wanted.suites])
    yield from _set_changes("component", known.components, wanted.components)
    if known.variant != wanted.variant:
        yield f"variant: {known.variant or 'none'} → {wanted.variant or 'none'}"
    if known.architectures == wanted.architectures:
        yield from _parent_changes(dict(known.parents), dict(wanted.parents))
        if dict(known.parents) == dict(wanted.parents) and known.parents != wanted.parents:
            yield "the parents stand in another order"


def _parent_changes(known: Mapping[str, Digest], wanted: Mapping[str, Digest]) -> Iterator[str]:
    yield from _set_changes("parent", list(known), list(wanted))
    for name in sorted(known.keys() & wanted.keys()):
        if known[name] != wanted[name]:
            yield f"{name}, which it is FROM, has other Debian packages now"


def _set_changes(what: str, known: Sequence[str], wanted: Sequence[str]) -> Iterator[str]:
    for name in sorted(set(wanted) - set(known)):
        yield f"{what} {name} is not in the lock"
    for name in sorted(set(known) - set(wanted)):
        yield f"{what} {name} is no longer asked for"


def _named_changes(what: str, known: Mapping[str, object], wanted: Mapping[str, object]) -> Iterator[str]:
    yield from _set_changes(what, list(known), list(wanted))
    for name in sorted(known.keys() & wanted.keys()):
        if known[name] != wanted[name]:
            yield f"{what} {name}: {_difference(known[name], wanted[name])}"


def _difference(known: object, wanted: object) -> str:
    """Which fields of two dataclasses differ, or that the content does."""
    if isinstance(known, FileInput | GitInput) and isinstance(wanted, FileInput | GitInput):
        changed = [
            f"{name} {getattr(known, name) or 'none'} → {getattr(wanted, name) or 'none'}"
            for name in ("url", "ref", "mirrors", "sha256", "signature", "keyring")
            if getattr(known, name, None) != getattr(wanted, name, None)
        ]
        return ", ".join(changed)
    return "its content changed"
