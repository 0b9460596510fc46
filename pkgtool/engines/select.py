"""Which engine runs the builds: the one that was asked for, else Docker if it answers, else buildah."""

from __future__ import annotations

from pkgtool import programs
from pkgtool.engines.interface import Engine
from pkgtool.errors import EngineError
from pkgtool.oci.store import Store

NAMES = ("auto", "docker", "buildah")


def connect(store: Store, wanted: str = "auto") -> Engine:
    """A usable engine. Raises `EngineError` with the command that brings one."""
    from pkgtool.engines import buildah, docker

    if wanted in ("auto", "docker"):
        engine = docker.connect(store)
        if engine is not None:
            return engine
        if wanted == "docker":
            raise EngineError(
                "no Docker engine answers",
                hint="start one (sudo systemctl start docker), set DOCKER_HOST, or use --engine buildah",
            )
    found = buildah.connect(store)
    if found is None:
        raise EngineError(
            "there is no engine to build with: no Docker engine answers, and buildah is not installed",
            hint=programs.install_hint("buildah"),
        )
    return found
