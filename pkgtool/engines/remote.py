"""From a node's address to an engine."""

from __future__ import annotations

from collections.abc import Iterable

from pkgtool.engines import select
from pkgtool.engines.buildkit.solve import NO_CACHE, RegistryCache
from pkgtool.engines.interface import Engine
from pkgtool.nodes import LOCAL, Node
from pkgtool.oci.store import Store


def connect(store: Store, node: Node, *, local: str = "auto", cache: RegistryCache = NO_CACHE) -> Engine:
    """The engine at a node; `local` is which engine of this machine the address `local` means.

    Raises `EngineLost` if it can't be reached now, `EngineError` if it can't be used.
    """
    if node.endpoint.scheme == LOCAL:
        return select.connect(store, local)
    if node.endpoint.is_docker:
        from pkgtool.engines import docker

        return docker.connect_node(store, node)
    from pkgtool.engines.buildkit.engine import BuildKitEngine

    return BuildKitEngine(store, node, cache)


def expand(nodes: Iterable[Node]) -> list[Node]:
    """The same nodes, with all of its nodes instead of each buildx builder. Raises `EngineError`."""
    from pkgtool.engines import buildx

    found: list[Node] = []
    for node in nodes:
        found += buildx.nodes(node) if node.endpoint.scheme == "buildx" else [node]
    return found
