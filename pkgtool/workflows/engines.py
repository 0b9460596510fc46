"""Which engines a run builds with: this machine's own, or the nodes that pkgtool.yml or `--builder` name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.events import Note, Sink
from pkgtool.model import Workspace
from pkgtool.nodes import LOCAL, Endpoint, Node, Trust
from pkgtool.oci.store import Store
from pkgtool.values import Platform
from pkgtool.workflows.options import RunOptions

if TYPE_CHECKING:
    from pkgtool.engines.buildkit.solve import RegistryCache
    from pkgtool.engines.interface import Engine


def chosen_nodes(options: RunOptions, workspace: Workspace) -> tuple[Node, ...]:
    """The nodes to build with; none means this machine alone.

    `--builder` takes the place of pkgtool.yml's list, and so does `--engine`, which asks for an engine of this machine.
    """
    if options.builders or options.engine != "auto":
        return options.builders
    root = Path(workspace.root)
    return tuple(replace(node, trust=_below(root, node.trust)) for node in workspace.settings.engines)


def job_count(options: RunOptions, nodes: tuple[Node, ...]) -> int:
    """How many steps run at a time, unless `--jobs` says it: as many as this machine and all nodes have room for."""
    return options.jobs or (os.cpu_count() or 1) + sum(node.jobs for node in nodes)


def connect(
    options: RunOptions, workspace: Workspace, store: Store, platform: Platform, *, events: Sink
) -> Callable[[], Engine]:
    """What connects to the chosen engine, or makes a pool of the chosen nodes; nothing is contacted yet."""
    nodes = chosen_nodes(options, workspace)

    def found() -> Engine:
        # Only a run that builds something waits for all of that.
        from pkgtool.engines import select
        from pkgtool.engines.buildkit.solve import RegistryCache

        insecure = frozenset(workspace.settings.insecure_registries)
        cache = RegistryCache(options.cache_from, options.cache_to, insecure)
        if nodes:
            return _pool(nodes, options.engine, cache, store, platform, events)
        if cache.sources or cache.targets:
            events(
                Note("warning", "only BuildKit nodes keep a cache in a registry: --cache-from, --cache-to are ignored")
            )
        return select.connect(store, options.engine)

    return found


def _pool(
    nodes: tuple[Node, ...], local: str, cache: RegistryCache, store: Store, platform: Platform, events: Sink
) -> Engine:
    from pkgtool.engines import remote
    from pkgtool.engines.pool import Member, Pool

    def member(node: Node, *, reserve: bool = False) -> Member:
        return Member(node, lambda: remote.connect(store, node, local=local, cache=cache), reserve)

    members = [member(node) for node in remote.expand(nodes)]
    if not any(node.endpoint.scheme == LOCAL for node in nodes):
        own = Node("this machine", Endpoint(LOCAL), jobs=os.cpu_count() or 1)
        members.append(member(own, reserve=True))
    return Pool(members, platform, events=events)


def _below(root: Path, trust: Trust) -> Trust:
    """Paths of pkgtool.yml start at its own directory."""

    def place(path: str) -> str:
        return str(root / Path(path).expanduser()) if path else ""

    return replace(trust, ca=place(trust.ca), certificate=place(trust.certificate), key=place(trust.key))
