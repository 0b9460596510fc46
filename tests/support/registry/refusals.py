"""Registries that refuse one thing."""

from __future__ import annotations

from tests.support.registry import server


def refuse_tag(tag: str, repository: str) -> server.Interference:
    """The registry fails when `tag` of one repository is written."""

    def interfere(handler: server.Handler, method: str, path: str) -> bool:
        if method != "PUT" or path != f"/v2/linuxkit/{repository}/manifests/{tag}":
            return False
        handler.body()
        handler.error(403, "DENIED")
        return True

    return interfere
