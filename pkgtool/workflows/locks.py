"""Locks: write them, check them, and read those that a build needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import CheckFailed, ConfigError, Location, PkgtoolError, UsageError, raise_all
from pkgtool.events import PlanStarted, Sink
from pkgtool.graph import in_order
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.go_source import GoProxies
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.lock_diff import changes, render
from pkgtool.inputs.lock_reader import read_lock
from pkgtool.inputs.lock_writer import format_lock, write_lock
from pkgtool.inputs.mirrors import VARIABLE, mirrors
from pkgtool.inputs.pinned import pinned_contents
from pkgtool.inputs.request import request_of, staleness
from pkgtool.inputs.resolve import NOTHING, Resolver, Target
from pkgtool.model import Package, Role, Workspace
from pkgtool.oci.store import Store
from pkgtool.values import Digest
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.told import told
from pkgtool.workflows.tree import open_packages, open_store


@dataclass(frozen=True, slots=True)
class LockChange:
    """What locking did to one package's lock; `difference` is empty if it stayed as it was."""

    package: str
    path: str
    difference: str


def read_locks(
    workspace: Workspace, names: Iterable[str], *, stale: type[PkgtoolError] = ConfigError
) -> dict[str, Lock]:
    """The locks of those packages, and of what they depend on, each checked to answer what its build.yml asks.

    Raises `stale` or `Problems` for missing and stale ones, all at once, and `ConfigError` for what is no lock.
    """
    locks: dict[str, Lock] = {}
    problems: list[PkgtoolError] = []
    for name in in_order(workspace.packages, names):
        package = workspace.packages[name]
        if not _has_lock(package):
            continue
        found = _read(workspace, package)
        reasons = _staleness(workspace, package, found, locks)
        if found is not None:
            locks[name] = found
        if reasons:
            problems.append(_stale(package, reasons, stale))
    raise_all(problems)
    return locks


def contents(workspace: Workspace, store: Store) -> frozenset[Digest]:
    """What the store keeps of the inputs of all packages; stale locks count too. Raises `ConfigError` for no lock."""
    found: set[Digest] = set()
    for package in workspace.packages.values():
        if package.inputs.pinned:
            found.update(pinned_contents(package, store))
        elif _has_lock(package) and (lock := _read(workspace, package)):
            found |= lock.contents
    return frozenset(found)


def lock(
    options: RunOptions,
    arguments: Sequence[str],
    *,
    update: Sequence[str] | None = (),
    events: Sink,
    cancel: Cancellation,
) -> list[LockChange]:
    """Resolve and write the locks of packages and of what they are FROM.

    `update` names what may move, in the packages of `arguments`, or without any in all whose locks have it; None lets
    everything move. Raises `InputError`, `ConfigError`, `UsageError`.
    """
    workspace, names = open_packages(options, arguments)
    if update and not arguments:
        names = _with_inputs(workspace, names, update)
    store = open_store(options, workspace)
    moving = None if update is None else frozenset(update)
    result: list[LockChange] = []
    locks: dict[str, Lock] = {}
    fetcher = make_fetcher(store, workspace, events=events, cancel=cancel)
    resolver = Resolver(fetcher, workspace.settings, proxies=GoProxies.of(os.environ))
    with store.in_use(cancel=cancel), fetcher, resolver:
        with_locks = [name for name in in_order(workspace.packages, names) if _has_lock(workspace.packages[name])]
        events(PlanStarted(len(with_locks), 0))
        for name in with_locks:
            cancel.check()
            package = workspace.packages[name]
            with told(events, f"lock {name}", name) as ended:
                previous = _read(workspace, package)
                target = _target(workspace, package, locks)
                own = _own(moving, previous, named=bool(arguments)) if name in names else NOTHING
                locks[name] = resolver.resolve(target, previous=previous, update=own)
                result.append(_write(workspace, package, previous, locks[name]))
                ended("done" if result[-1].difference else "reused")
    return result


def _has_lock(package: Package) -> bool:
    return bool(package.inputs) and not package.inputs.pinned


def _with_inputs(workspace: Workspace, names: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The packages whose locks have one of the inputs `wanted`. Raises `UsageError` for those that none has."""
    pinned = {}
    for name in names:
        found = _read(workspace, workspace.packages[name])
        pinned[name] = found.names if found else frozenset()
    everything = frozenset().union(*pinned.values())
    for unknown in (name for name in wanted if name not in everything):
        close = get_close_matches(unknown, sorted(everything), 1)
        raise UsageError(
            f"no lock has an input named {unknown}",
            hint=f"did you mean {close[0]}?" if close else "the names are those in the files inputs.lock",
        )
    return tuple(name for name in names if pinned[name] & set(wanted))


def _own(moving: frozenset[str] | None, previous: Lock | None, *, named: bool) -> frozenset[str] | None:
    """What may move in one package: of what was named for several, what it has."""
    if moving is None or named or previous is None:
        return moving
    return moving & previous.names


def check(options: RunOptions, arguments: Sequence[str]) -> tuple[str, ...]:
    """The packages whose locks were checked. Raises `CheckFailed` for stale ones, else as `read_locks` does."""
    workspace, names = open_packages(options, arguments)
    return tuple(read_locks(workspace, names, stale=CheckFailed))


def make_fetcher(
    store: Store, workspace: Workspace, *, offline: bool = False, events: Sink, cancel: Cancellation
) -> Fetcher:
    """A fetcher with the mirrors of the tree and of the environment."""
    rules = mirrors(workspace.settings.mirrors, os.environ.get(VARIABLE, ""))
    return Fetcher(store, mirrors=rules, offline=offline, events=events, cancel=cancel)


def _directory(workspace: Workspace, package: Package) -> Path:
    return Path(workspace.root) / package.path


def _target(workspace: Workspace, package: Package, locks: dict[str, Lock]) -> Target:
    parents = _parents(workspace, package, locks)
    return Target(package, _directory(workspace, package), parents, package.platforms)


def _read(workspace: Workspace, package: Package) -> Lock | None:
    return read_lock(Path(workspace.root) / package.lock_path, shown_as=package.lock_path)


def _parents(workspace: Workspace, package: Package, locks: dict[str, Lock]) -> list[tuple[str, Lock]]:
    """The locks of what the package is FROM, directly or not, farthest first."""
    own = {d.name for d in package.dependencies if d.role is Role.PACKAGE}
    pending = list(own)
    while pending:
        other = workspace.packages[pending.pop()]
        new = {d.name for d in other.dependencies if d.role is Role.PACKAGE} - own
        own |= new
        pending += new
    return [(name, locks[name]) for name in in_order(workspace.packages, own) if name in own and name in locks]


def _staleness(workspace: Workspace, package: Package, found: Lock | None, locks: dict[str, Lock]) -> tuple[str, ...]:
    request = request_of(
        package,
        _parents(workspace, package, locks),
        workspace.settings,
        package.platforms,
        _directory(workspace, package),
    )
    return staleness(found, request)


def _stale(package: Package, reasons: Sequence[str], error: type[PkgtoolError]) -> PkgtoolError:
    return error(
        f"the lock of {package.name} does not answer what {package.build_file} asks for",
        location=Location(package.lock_path),
        details=reasons,
        hint=f"pkgtool lock {package.name}",
    )


def _write(workspace: Workspace, package: Package, previous: Lock | None, found: Lock) -> LockChange:
    path = Path(workspace.root) / package.lock_path
    if previous is None or format_lock(previous) != format_lock(found):
        write_lock(path, found)
    return LockChange(package.name, package.lock_path, render(changes(previous, found)))
