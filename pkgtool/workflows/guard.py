"""The tree's policy, applied to images before they are taken from a registry."""

from __future__ import annotations

import threading
from pathlib import Path

from pkgtool.actions.registry import Guard
from pkgtool.model import Workspace
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.repository import Repository
from pkgtool.values import Digest, ImageRef

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
    from pkgtool.policy.provenance import Expected
    from pkgtool.policy.reader import read_policy
    from pkgtool.policy.verify import Request, Verifier

    def dependency(name: str) -> Repository:
        return registry.repository(ImageRef.parse(name).repository)

    verifier = Verifier(read_policy(path), open_repository=dependency)
    accepted: dict[tuple[str, str], Digest] = {}
    lock = threading.Lock()

    def guard(repository: Repository, tag: str) -> Digest:
        with lock:  # several platforms of one package are pulled at once, and decided about once
            if (repository.name, tag) not in accepted:
                decision = verifier.verify(Request(repository, tag, Expected(tag=tag)))
                decision.require()
                accepted[repository.name, tag] = decision.digest
            return accepted[repository.name, tag]

    return guard
