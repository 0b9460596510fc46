"""Docker contexts, from the files that `docker context create` writes (docker/cli, cli/context/store).

    CONFIG/contexts/meta/SHA256-OF-NAME/meta.json        where its engine is
    CONFIG/contexts/tls/SHA256-OF-NAME/docker/*.pem      ca.pem, cert.pem, key.pem
    CONFIG/config.json                                   "currentContext"

CONFIG is $DOCKER_CONFIG, or ~/.docker. (The docker SDK finds contexts only if config.json exists.)
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import EngineError
from pkgtool.nodes import Trust

DEFAULT = "default"
"""Means no context: the usual socket."""


@dataclass(frozen=True, slots=True)
class DockerContext:
    """An engine's address as DOCKER_HOST would have it, and its TLS files."""

    host: str
    trust: Trust
    verify: bool = True
    """Whether the engine's certificate must be trusted."""


def current() -> str:
    """The name of the context in use: $DOCKER_CONTEXT, else as config.json says, else `default`."""
    if os.environ.get("DOCKER_CONTEXT"):
        return os.environ["DOCKER_CONTEXT"]
    try:
        return str(json.loads((_directory() / "config.json").read_bytes()).get("currentContext") or DEFAULT)
    except (OSError, ValueError, AttributeError):
        return DEFAULT


def read(name: str) -> DockerContext | None:
    """A context; None for `default`. Raises `EngineError` if there is none of that name, or it can't be read."""
    if name == DEFAULT:
        return None
    key = hashlib.sha256(name.encode()).hexdigest()
    place = _directory() / "contexts"
    try:
        document = json.loads((place / "meta" / key / "meta.json").read_bytes())
        endpoint = document["Endpoints"]["docker"]
        host, verify = str(endpoint["Host"]), not endpoint.get("SkipTLSVerify", False)
    except FileNotFoundError as problem:
        raise EngineError(f"there is no Docker context {name!r}", hint="docker context ls") from problem
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise EngineError(
            f"the Docker context {name!r} can't be read: {problem}", hint="docker context ls"
        ) from problem
    files = place / "tls" / key / "docker"
    found = {part: str(files / f"{part}.pem") for part in ("ca", "cert", "key") if (files / f"{part}.pem").is_file()}
    return DockerContext(host, Trust(found.get("ca", ""), found.get("cert", ""), found.get("key", "")), verify)


def _directory() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
