"""All artifacts that a lock stands for."""

from __future__ import annotations

from collections.abc import Collection

from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.debian.places import deb_artifact
from pkgtool.inputs.file_source import file_artifact
from pkgtool.inputs.git_source import git_artifact
from pkgtool.inputs.go_source import GoProxies, go_artifacts
from pkgtool.inputs.lock import Lock
from pkgtool.model import TreeSettings


def artifacts_of(
    package: str,
    lock: Lock,
    settings: TreeSettings,
    *,
    proxies: GoProxies | None = None,
    architectures: Collection[str] | None = None,
) -> tuple[Artifact, ...]:
    """What has to be fetched for a build on these Debian architectures; None means all that the lock has."""
    modules = lock.go.modules if lock.go else ()
    debs = lock.debian.debs if lock.debian else ()
    wanted = [d for d in debs if architectures is None or set(d.architectures) & set(architectures)]
    return (
        *(deb_artifact(package, deb, lock.debian, settings) for deb in wanted if lock.debian),
        *(file_artifact(package, file) for file in lock.files),
        *(git_artifact(package, git) for git in lock.git),
        *(artifact for module in modules for artifact in go_artifacts(package, module, proxies or GoProxies())),
    )
