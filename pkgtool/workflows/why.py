"""Why a package has another tag than it had."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pkgtool.config.loader import LoadOptions, load
from pkgtool.errors import SourceError
from pkgtool.fingerprint import Fingerprint, compute
from pkgtool.fingerprint.explain import Change, explain
from pkgtool.graph import closure
from pkgtool.source.git import commit_of, git, text
from pkgtool.source.state import SourceState
from pkgtool.source.trees import CommitTree
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
    before = _fingerprints_at(options, tree, name, against)
    return Why(
        before[name],
        tree.fingerprints[name],
        explain(name, before, tree.fingerprints, lambda old, new: _changed_files(tree, old, new)),
    )


def _fingerprints_at(options: RunOptions, tree: Tree, name: str, revision: str) -> dict[str, Fingerprint]:
    root = Path(tree.workspace.root)
    repository = tree.sources.main
    inside = root.relative_to(repository.top).as_posix()
    prefix = "" if inside == "." else f"{inside}/"
    # The full name of the commit: "HEAD" would also mean what is not committed.
    revision = commit_of(repository.top, revision)
    old_tree = CommitTree(root, prefix, revision)
    workspace = load(old_tree, LoadOptions(str(root), prefix, options.overrides, (tree.package(name).path,)))
    if name not in workspace.packages:
        raise SourceError(f"there was no package {name} at {revision}", hint=f"git log -- {tree.package(name).path}")
    chosen = closure(workspace.packages, [name])
    paths = {part.path for package in chosen for part in workspace.packages[package].context}
    state = SourceState(root, paths, revision=revision)
    return compute(workspace.packages, state.facts, names=[name], overrides=replace(options.tag, force_dirty=False))


def _changed_files(tree: Tree, old: str, new: str) -> list[tuple[str, str]]:
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
