"""Tags as LinuxKit computes them, worked out with git alone, and as pkgtool says them."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from tests.support.command_line import CommandLine
from tests.support.tree import TreeBuilder

DIRTY = re.compile(r"(?P<clean>[0-9a-f]{40}|[0-9a-f]{64})-dirty-[0-9a-f]{7}\Z")


def linuxkit_hash(tree: TreeBuilder, path: str, *extra_sources: str) -> str:
    """The hash of a clean package (pkglib): its tree's id; with extra sources, sha1 over the ids' digits."""
    ids = [tree.tree_id(place) for place in (path, *extra_sources)]
    return ids[0] if len(ids) == 1 else hashlib.sha1("".join(ids).encode()).hexdigest()


def shown(pkgtool: CommandLine, *arguments: str) -> dict[str, dict[str, Any]]:
    """What `show-tag --json` says, by package."""
    return {found["package"]: found for found in pkgtool("show-tag", "--json", *arguments).ok().json}


def tag(pkgtool: CommandLine, package: str, *arguments: str) -> str:
    """The tag of one package."""
    reference: str = pkgtool("show-tag", package, *arguments).ok().out.strip()
    return reference.rpartition(":")[2]


def is_dirty(text: str) -> bool:
    return DIRTY.match(text) is not None
