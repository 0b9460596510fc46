"""Bring the locked inputs of packages into the store, so that a build needs no network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pkgtool.actions.inputs import InputAccess
from pkgtool.cancel import Cancellation
from pkgtool.events import PlanStarted, Sink
from pkgtool.graph import closure
from pkgtool.inputs.go_source import GoProxies
from pkgtool.workflows.locks import make_fetcher, read_locks
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.told import told
from pkgtool.workflows.tree import build_platform, open_packages, open_store, target_platforms


@dataclass(frozen=True, slots=True)
class Fetched:
    """How many inputs a package has, and how many of them had to be fetched."""

    package: str
    inputs: int
    fetched: int
    size: int


def fetch(options: RunOptions, arguments: Sequence[str], *, events: Sink, cancel: Cancellation) -> list[Fetched]:
    """Fetch for packages and all that they depend on, for the tree's platforms unless others are named.

    What is there already is hashed, and fetched again if it is damaged: nothing may be missing offline.
    Raises `InputError` or `Problems` for what no place serves, `ConfigError` for stale locks.
    """
    workspace, names = open_packages(options, arguments)
    store = open_store(options, workspace)
    wanted = {*target_platforms(options, workspace, all_by_default=True), build_platform()}
    chosen = closure(workspace.packages, names)
    locks = read_locks(workspace, chosen)
    result = []
    fetcher = make_fetcher(store, workspace, events=events, cancel=cancel)
    with store.in_use(cancel=cancel), fetcher:
        access = InputAccess(locks, fetcher, workspace.settings, GoProxies.of(os.environ))
        pinned = [name for name in chosen if workspace.packages[name].inputs.pinned]
        events(PlanStarted(len(locks) + len(pinned), 0))
        for name in (*locks, *pinned):
            package = workspace.packages[name]
            platforms = [platform for platform in package.platforms if platform in wanted]
            with told(events, f"fetch {name}", name) as ended:
                artifacts = {a.digest: a for a in access.artifacts(package, platforms)}
                fetcher.reject_damaged(tuple(artifacts.values()))
                fetched = access.fetch(package, platforms, step=f"fetch {name}")
                ended("done" if fetched else "reused")
            result.append(Fetched(name, len(artifacts), fetched, sum(a.size for a in artifacts.values())))
    return result
