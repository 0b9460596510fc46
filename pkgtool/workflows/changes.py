"""What changed in the packages of a tree since a revision, for people: the words of a release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import SourceError
from pkgtool.fingerprint.explain import Change, explain
from pkgtool.graph import in_order
from pkgtool.inputs import lock_diff
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.lock_reader import parse_lock
from pkgtool.model import Package
from pkgtool.source.git import commit_of, git, text
from pkgtool.source.trees import CommitTree, SourceTree, WorkingTree
from pkgtool.workflows.history import fingerprints_at
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import Tree, open_tree
from pkgtool.workflows.why import changed_files


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that is new (no `before`), gone (no `after`) or has another tag.

    `causes` are the direct ones: its own files, arguments and settings, and which of its dependencies moved; `inputs`
    what its lock takes from outside that is different.
    """

    package: str
    before: str = ""
    after: str = ""
    causes: tuple[Change, ...] = ()
    inputs: tuple[lock_diff.Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """All packages that changed since a revision, in dependency order; how many did not."""

    since: str
    packages: tuple[PackageChange, ...]
    unchanged: int


def changes_since(options: RunOptions, since: str = "") -> Changes:
    """What changed since a revision; if none is said, since the last tag before this commit, else everything is new.

    Raises `SourceError` for an unknown revision.
    """
    tree = open_tree(options)
    revision = since or _last_tag(tree)
    if not revision:
        names = in_order(tree.workspace.packages)
        return Changes("", tuple(PackageChange(n, "", tree.fingerprints[n].reference.tag) for n in names), 0)
    workspace, before = fingerprints_at(options, tree, tree.names, revision)
    found = []
    for name in in_order(tree.workspace.packages):
        now = tree.fingerprints[name]
        if name not in before:
            found.append(PackageChange(name, "", now.reference.tag))
        elif before[name].digest != now.digest:
            causes = explain(name, before, tree.fingerprints, lambda old, new: changed_files(tree, old, new))
            old, new = before[name].reference.tag, now.reference.tag
            moved = _inputs(tree, revision, workspace.packages[name], tree.package(name))
            found.append(PackageChange(name, old, new, causes, moved))
    gone = [PackageChange(name, "gone") for name in sorted(workspace.packages.keys() - tree.workspace.packages.keys())]
    return Changes(revision, (*found, *gone), len(tree.names) - len(found))


def _last_tag(tree: Tree) -> str:
    """The newest tag before the current commit; empty if there is none."""
    top = tree.sources.main.top
    for start in ("HEAD", "HEAD^"):
        try:
            found = text(git(top, ["describe", "--tags", "--abbrev=0", start])).strip()
        except SourceError:
            return ""
        if commit_of(top, found) != commit_of(top, "HEAD"):
            return found
    return ""


def _inputs(tree: Tree, revision: str, old: Package, new: Package) -> tuple[lock_diff.Change, ...]:
    root, repository = Path(tree.workspace.root), tree.sources.main
    inside = root.relative_to(repository.top).as_posix()
    then = CommitTree(root, "" if inside == "." else f"{inside}/", commit_of(repository.top, revision))
    return lock_diff.changes(_lock(then, old), _lock(WorkingTree(root), new))


def _lock(files: SourceTree, package: Package) -> Lock | None:
    content = files.read(package.lock_path) if package.inputs and not package.inputs.pinned else None
    return parse_lock(content, package.lock_path) if content else None
