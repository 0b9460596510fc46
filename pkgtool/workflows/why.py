"""Why a package has another tag than it had."""

from __future__ import annotations

from dataclasses import dataclass

from pkgtool.errors import SourceError
from pkgtool.fingerprint import Fingerprint
from pkgtool.fingerprint.explain import Change, explain
from pkgtool.source.git import git, text
from pkgtool.workflows.history import fingerprints_at
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import Tree, open_tree


@dataclass(frozen=True, slots=True)
class Why:
    """Two fingerprints of a package and what lies between them."""

    before: Fingerprint
    after: Fingerprint
    changes: tuple[Change, ...]


def why(options: RunOptions, argument: str, against: str) -> Why:
    """Compare a package's fingerprint now with the one at a revision.

    Raises `SourceError` if the revision, or the package at that revision, does not exist.
    """
    tree = open_tree(options, [argument])
    name = tree.names[0]
    before = fingerprints_at(options, tree, [name], against)[1]
    if name not in before:
        place = tree.package(name).path
        raise SourceError(f"there was no package {name} at {against}", hint=f"git log -- {place}")
    return Why(
        before[name],
        tree.fingerprints[name],
        explain(name, before, tree.fingerprints, lambda old, new: changed_files(tree, old, new)),
    )


def changed_files(tree: Tree, old: str, new: str) -> list[tuple[str, str]]:
    """The paths that differ between two objects of the tree's repository, each with git's letter."""
    if old == new:
        return []
    repository = tree.sources.main
    kinds = text(
        git(
            repository.top,
            ["cat-file", "--batch-check=%(objecttype)"],
            stdin=f"{old}\n{new}\n".encode(),
            env=repository.object_environment,
        )
    ).split()
    if kinds != ["tree", "tree"]:
        return [("", "M")]
    output = git(
        repository.top,
        ["diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new],
        env=repository.object_environment,
    )
    fields = text(output).split("\0")
    return [(path, letter) for letter, path in zip(fields[0::2], fields[1::2], strict=False)]
