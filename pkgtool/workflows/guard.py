"""The tree's policy, applied to images before they are taken from a registry."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.fingerprint import Fingerprint
from pkgtool.model import Workspace
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.repository import Repository
from pkgtool.values import Digest, ImageRef, Platform

if TYPE_CHECKING:
    from pkgtool.actions.registry import Guard
    from pkgtool.oci.registry.repository import Registry

POLICY_FILE = "policy.yml"


def policy_path(workspace: Workspace) -> Path | None:
    """Where the tree's policy is: as pkgtool.yml says, else policy.yml if it exists."""
    named = workspace.settings.policy
    path = Path(workspace.root) / (named or POLICY_FILE)
    return path if named or path.is_file() else None


def pull_guard(workspace: Workspace, registry: Registry) -> Guard | None:
    """What verifies an image before it is pulled; None for a tree without a policy.

    Raises `ConfigError` if the policy can't be read.
    """
    path = policy_path(workspace)
    if path is None:
        return None
    from pkgtool.oci.registry.publish import read_index
    from pkgtool.policy.provenance import Expected
    from pkgtool.policy.reader import read_policy
    from pkgtool.policy.verify import Request, Verifier

    def dependency(name: str) -> Repository:
        return registry.repository(ImageRef.parse(name).repository)

    verifier = Verifier(read_policy(path), open_repository=dependency)
    accepted: dict[tuple[str, str], Mapping[Platform, Descriptor]] = {}
    lock = threading.Lock()

    def verified(repository: Repository, tag: str, alone: Platform | None = None) -> Digest:
        expected = Expected(tag=tag, alone=str(alone) if alone else "")
        reference = f"{tag}-{alone.suffix}" if alone else tag
        decision = verifier.verify(Request(repository, reference, expected))
        decision.require()
        return decision.digest

    def guard(repository: Repository, fingerprint: Fingerprint, platform: Platform) -> Descriptor | None:
        tag = fingerprint.reference.tag
        with lock:  # several platforms of one package are pulled at once, and decided about once
            if (repository.name, tag) not in accepted and repository.resolve(tag):
                accepted[repository.name, tag] = read_index(repository, verified(repository, tag)).images
            images = accepted.get((repository.name, tag), {})
        if platform in images:
            return images[platform]
        # Other jobs of the same run have published it, and the last of them will make the index.
        own = f"{tag}-{platform.suffix}"
        return repository.resolve(verified(repository, tag, platform)) if repository.resolve(own) else None

    return guard
