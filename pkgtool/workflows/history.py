"""A tree as it was at a revision."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from pkgtool.config.loader import LoadOptions, load
from pkgtool.errors import ConfigError, PkgtoolError, Problems
from pkgtool.fingerprint import Fingerprint, compute
from pkgtool.graph import closure
from pkgtool.model import Workspace
from pkgtool.source.git import commit_of
from pkgtool.source.state import SourceState
from pkgtool.source.trees import CommitTree
from pkgtool.workflows import kernels
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import Tree


def fingerprints_at(
    options: RunOptions, tree: Tree, names: Collection[str], revision: str
) -> tuple[Workspace, dict[str, Fingerprint]]:
    """The packages of `tree`'s repository at a revision, and the fingerprints of those of `names` that existed.

    Raises `SourceError` for an unknown revision, `ConfigError` for one whose files are wrong.
    """
    root = Path(tree.workspace.root)
    repository = tree.sources.main
    inside = root.relative_to(repository.top).as_posix()
    prefix = "" if inside == "." else f"{inside}/"
    # The full name of the commit: "HEAD" would also mean what is not committed.
    commit = commit_of(repository.top, revision)
    files = CommitTree(root, prefix, commit)
    own_file = options.overrides.build_file
    outside_globs = [tree.package(name).path for name in names]
    also = tuple(path for path in outside_globs if files.is_file(f"{path}/{own_file}" if path else own_file))
    make = kernels.maker(root, files, options)
    try:
        workspace = load(files, LoadOptions(str(root), prefix, options.overrides, also, tuple(names), make))
    except ConfigError as problem:
        raise _unreadable(revision, [problem]) from problem
    except Problems as several:
        raise _unreadable(revision, several.problems) from several
    existing = [name for name in names if name in workspace.packages]
    chosen = closure(workspace.packages, existing)
    paths = {part.path for package in chosen for part in workspace.packages[package].context}
    state = SourceState(root, paths, revision=commit)
    overrides = replace(options.tag, force_dirty=False)
    return workspace, compute(workspace.packages, state.facts, names=existing, overrides=overrides)


def _unreadable(revision: str, problems: Sequence[PkgtoolError]) -> ConfigError:
    """What is wrong with files of another revision must not read like an error of today's."""
    places = [f"{problem.location}: {problem.message}" for problem in problems]
    return ConfigError(f"the tree at {revision} can't be read", details=places, hint="compare with another revision")
