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
from pkgtool.values import ImageRef, Platform

if TYPE_CHECKING:
    from pkgtool.actions.registry import Accepted, Guard
    from pkgtool.oci.registry.repository import Registry
    from pkgtool.policy.decision import Decision

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
    from pkgtool.actions.registry import Accepted
    from pkgtool.oci.registry.publish import read_index
    from pkgtool.policy.provenance import Expected
    from pkgtool.policy.reader import read_policy
    from pkgtool.policy.verify import Request, Verifier

    def dependency(name: str) -> Repository:
        return registry.repository(ImageRef.parse(name).repository)

    verifier = Verifier(read_policy(path), open_repository=dependency)
    decided: dict[tuple[str, str], tuple[Mapping[Platform, Descriptor], Decision]] = {}
    lock = threading.Lock()

    def verified(repository: Repository, tag: str, alone: Platform | None = None) -> Decision:
        expected = Expected(tag=tag, alone=str(alone) if alone else "")
        reference = f"{tag}-{alone.suffix}" if alone else tag
        decision = verifier.verify(Request(repository, reference, expected))
        decision.require()
        return decision

    def guard(repository: Repository, fingerprint: Fingerprint, platform: Platform) -> Accepted | None:
        tag = fingerprint.reference.tag
        with lock:  # several platforms of one package are pulled at once, and decided about once
            if (repository.name, tag) not in decided and repository.resolve(tag):
                decision = verified(repository, tag)
                decided[repository.name, tag] = (read_index(repository, decision.digest).images, decision)
        if (repository.name, tag) in decided:
            images, decision = decided[repository.name, tag]
            if platform in images:
                about = (images[platform].digest, decision.digest)
                return Accepted(images[platform], tuple(c for c in decision.claims if c.digest in about))
        # Other jobs of the same run have published it, and the last of them will make the index.
        own = f"{tag}-{platform.suffix}"
        if repository.resolve(own) is None:
            return None
        decision = verified(repository, tag, platform)
        manifest = repository.resolve(decision.digest)
        return Accepted(manifest, decision.claims) if manifest else None

    return guard
