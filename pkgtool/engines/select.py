"""Which engine runs the builds: the one that was asked for, else Docker if it answers, else buildah."""

from __future__ import annotations

from pkgtool import programs
from pkgtool.engines.interface import Engine
from pkgtool.errors import EngineError
from pkgtool.oci.store import Store

NAMES = ("auto", "docker", "buildah")


def connect(store: Store, wanted: str = "auto") -> Engine:
    """A usable engine. Raises `EngineError` with the command that brings one."""
    from pkgtool.engines import buildah, docker, docker_absent

    if wanted in ("auto", "docker"):
        engine = docker.connect(store)
        if engine is not None:
            return engine
        if wanted == "docker":
            absence = docker_absent.explain()
            raise EngineError(
                f"no Docker engine answers: {absence.reason}", hint=f"{absence.remedy}; or use --engine buildah"
            )
    found = buildah.connect(store)
    if found is None:
        raise EngineError(
            "there is no engine to build with: no Docker engine answers, and buildah is not installed",
            hint=programs.install_hint("buildah"),
        )
    return found
