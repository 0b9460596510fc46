"""Writes the answer to a package's request: the lock. All network that locking needs is used here."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pkgtool.errors import InputError, UsageError
from pkgtool.inputs.debian.apt import KEYRING, Apt
from pkgtool.inputs.debian.places import sources
from pkgtool.inputs.debian.resolve import DebianResolver, Question
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.file_source import lock_file
from pkgtool.inputs.git_source import lock_git
from pkgtool.inputs.go_source import GoProxies, lock_go
from pkgtool.inputs.lock import DebianLock, DebianRequest, GoLock, Lock, LockedFile, LockedGit, newest_date
from pkgtool.inputs.request import Parents, Request, request_of, staleness
from pkgtool.model import Package, TreeSettings
from pkgtool.values import Platform

NOTHING: frozenset[str] = frozenset()
_Session = tuple[tuple[tuple[str, str], ...], tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Target:
    """What to lock: a package whose files are in `directory`, the locks of what it is FROM, and its platforms."""

    package: Package
    directory: Path
    parents: Parents
    platforms: Sequence[Platform]


class Resolver:
    """Locks packages one after the other with one state of each archive. Use it as a context manager."""

    def __init__(
        self,
        fetcher: Fetcher,
        settings: TreeSettings,
        *,
        proxies: GoProxies | None = None,
        keyring: str = KEYRING,
    ) -> None:
        self._fetcher = fetcher
        self._settings = settings
        self._proxies = proxies or GoProxies()
        self._keyring = keyring
        self._sessions: dict[_Session, DebianResolver] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sessions.clear()
        self._stack.close()

    def resolve(self, target: Target, *, previous: Lock | None, update: frozenset[str] | None = NOTHING) -> Lock:
        """The lock that answers what `target` asks now.

        What `previous` pins stays as it is where it still answers and can still be had. `update` names what may
        move (a Debian package, a file, a repository, a Go module), with what its new version needs; None lets
        everything move. Raises `InputError`, `ConfigError`, and `UsageError` for an unknown name in `update`.
        """
        package = target.package
        request = request_of(package, target.parents, self._settings, target.platforms, target.directory)
        if update:
            _check_names(update, previous, request, package.name)
        if previous and update == NOTHING and not staleness(previous, request):
            return previous
        known = previous if update is not None else None
        moving = update or NOTHING
        lock = Lock(
            debian=self._debian(target, request.debian, previous, update) if request.debian else None,
            files=tuple(
                lock_file(package.name, file, _known_file(known, file.name, moving), target.directory, self._fetcher)
                for file in request.files
            ),
            git=tuple(
                lock_git(package.name, git, _known_git(known, git.name, moving), self._fetcher) for git in request.git
            ),
            go=self._go(target, request, known, moving) if request.go else None,
        )
        return replace(lock, date=newest_date(lock))

    def _debian(
        self, target: Target, request: DebianRequest, previous: Lock | None, update: frozenset[str] | None
    ) -> DebianLock:
        known = previous.debian if previous else None
        if known and known.request == request and update is not None:
            own = {deb.name for deb in known.debs}
            if not update & (own | set(request.packages)):
                return known  # only other inputs move
        question = Question(target.package.name, request, target.parents, known, update)
        return self._session(request).resolve(question)

    def _session(self, request: DebianRequest) -> DebianResolver:
        key = (request.suites, request.components, request.architectures)
        if key not in self._sessions:
            if self._fetcher.offline:
                raise InputError("Debian packages can't be resolved offline", hint="run it without --offline")
            directory = self._stack.enter_context(self._fetcher.store.scratch("apt"))
            mirrored = [
                replace(source, url=self._fetcher.mirrors.places(source.url + "/")[0].rstrip("/"))
                for source in sources(self._settings, request.suites)
            ]
            apt = Apt(
                directory,
                mirrored,
                request.components,
                request.architectures,
                keyring=self._keyring,
                cancel=self._fetcher.cancel,
            )
            self._sessions[key] = DebianResolver(apt, apt.update(), self._fetcher, self._settings)
        return self._sessions[key]

    def _go(self, target: Target, request: Request, known: Lock | None, moving: frozenset[str]) -> GoLock:
        before = known.go if known else None
        if before:
            before = replace(before, modules=tuple(m for m in before.modules if m.module not in moving))
        return lock_go(target.package.name, request.go, before, target.directory, self._proxies, self._fetcher)


def _known_file(known: Lock | None, name: str, moving: frozenset[str]) -> LockedFile | None:
    files = known.files if known and name not in moving else ()
    return next((file for file in files if file.request.name == name), None)


def _known_git(known: Lock | None, name: str, moving: frozenset[str]) -> LockedGit | None:
    repositories = known.git if known and name not in moving else ()
    return next((git for git in repositories if git.request.name == name), None)


def _check_names(update: frozenset[str], previous: Lock | None, request: Request, package: str) -> None:
    """Refuse names that neither the lock nor the request has, all at once."""
    known = {file.name for file in request.files} | {git.name for git in request.git}
    known |= set(request.debian.packages) if request.debian else set()
    known |= previous.names if previous else set()
    unknown = sorted(update - known)
    if unknown:
        close = [match for name in unknown for match in difflib.get_close_matches(name, sorted(known), 1)]
        raise UsageError(
            f"{package} has no input named {', '.join(unknown)}",
            hint=f"did you mean {', '.join(close)}?" if close else "the names are those in its inputs.lock",
        )
