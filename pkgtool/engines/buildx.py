"""buildx's builders by name, with all their nodes, from the files that `docker buildx create` writes.

One JSON file a builder, in `instances/` below $BUILDX_CONFIG, $DOCKER_CONFIG/buildx or ~/.docker/buildx (buildx,
store/store.go and store/nodegroup.go). Nothing is started: a builder that was never used must be booted first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pkgtool.errors import EngineError
from pkgtool.nodes import Endpoint, Node, Trust, parse_endpoint
from pkgtool.values import Platform

_CONTAINER_PREFIX = "buildx_buildkit_"


def nodes(builder: Node) -> Iterator[Node]:
    """The nodes of the builder that a buildx:// node names. Raises `EngineError` if there is no such builder."""
    name = builder.endpoint.host
    document = _read(name)
    try:
        for entry in document["Nodes"]:
            yield _node(builder, str(document["Driver"]), entry)
    except (KeyError, TypeError, ValueError) as problem:
        raise EngineError(
            f"the buildx builder {name!r} is not as expected: {problem}", hint=f"docker buildx inspect {name}"
        ) from problem


def _read(name: str) -> dict[str, Any]:
    base = os.environ.get("BUILDX_CONFIG")
    docker = os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker")
    directory = (Path(base) if base else Path(docker) / "buildx") / "instances"
    try:
        document = json.loads((directory / name).read_bytes())
    except FileNotFoundError as problem:
        others = ", ".join(sorted(p.name for p in directory.iterdir())) if directory.is_dir() else ""
        raise EngineError(
            f"there is no buildx builder {name!r} in {directory}",
            hint=f"there are: {others}" if others else f"docker buildx create --name {name} …",
        ) from problem
    except (OSError, ValueError) as problem:
        raise EngineError(f"the buildx builder {name!r} can't be read: {problem}") from problem
    if not isinstance(document, dict):
        raise EngineError(f"the buildx builder {name!r} can't be read: it is no JSON object")
    return document


def _node(builder: Node, driver: str, entry: dict[str, Any]) -> Node:
    options = entry.get("DriverOpts") or {}
    platforms = builder.platforms or tuple(_platform(p) for p in entry.get("Platforms") or ())
    endpoint, trust = _place(driver, str(entry["Name"]), str(entry.get("Endpoint") or ""), options)
    return Node(f"{builder.name}/{entry['Name']}", endpoint, platforms, trust, builder.jobs)


def _place(driver: str, name: str, endpoint: str, options: dict[str, Any]) -> tuple[Endpoint, Trust]:
    if driver == "remote":
        found, trust, _ = parse_endpoint(endpoint)
        given = {"ca": options.get("cacert"), "certificate": options.get("cert"), "key": options.get("key")}
        named = {key: str(value) for key, value in given.items() if value}
        server_name = str(options.get("servername") or "")
        return found, Trust(**named, server_name=server_name) if named else trust
    if driver == "docker-container":
        where = {} if endpoint in ("", "default") else {"host" if "://" in endpoint else "context": endpoint}
        return Endpoint("docker-container", _CONTAINER_PREFIX + name, options=where), Trust()
    if driver == "kubernetes":
        asked = dict(parse_qsl(urlsplit(endpoint).query))
        where = {key: str(value) for key in ("namespace",) if (value := options.get(key))}
        if asked.get("kubeconfig"):
            where["kubeconfig"] = asked["kubeconfig"]
        return Endpoint("kube-pod", "deployment", path=f"/{asked.get('deployment') or name}", options=where), Trust()
    if driver == "docker":
        return Endpoint("docker-context", endpoint or "default"), Trust()
    raise ValueError(f"its driver {driver!r} is unknown here")


def _platform(entry: dict[str, Any]) -> Platform:
    return Platform(str(entry["os"]), str(entry["architecture"]), str(entry.get("variant") or ""))
