"""One batched look at the repositories of a tree: the object ids of paths at a commit and as they are now.

A clean tree costs three git processes for a repository, whatever the number of packages. Only where something is
dirty are more started: git itself then writes the tree of what is really there (names, modes, symbolic links and
untracked files included, ignored ones not) into a temporary object directory, through a temporary index.
"""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from pkgtool.errors import SourceError
from pkgtool.source.dirty import DirtyTrees
from pkgtool.source.entries import DIRECTORY, SUBMODULE, Entry, parse_listing
from pkgtool.source.git import commit_of, find_top, git, text

Result = TypeVar("Result")

# Told in full, whatever the repository or the person has configured to be ignored.
_STATUS = ("--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames")


@dataclass(frozen=True, slots=True)
class PathFacts:
    """A file or directory as git sees it. `committed` is empty for what the commit does not have."""

    mode: str
    committed: str
    current: str
    dirty_submodules: tuple[tuple[str, str], ...] = ()
    """Submodules below whose files differ from their commit: path and the tree of what is there."""

    @property
    def dirty(self) -> bool:
        return self.committed != self.current or bool(self.dirty_submodules)


@dataclass(slots=True)
class Repository:
    """One repository at one commit, and what differs from it on disk."""

    top: Path
    commit: str
    root_tree: str
    entries: Mapping[str, Entry]
    changed: Mapping[str, bool] = field(default_factory=dict)
    """Changed and untracked paths; true for a submodule whose own files differ."""
    touched: frozenset[str] = frozenset()
    """The changed paths and all their parents."""
    dirty: DirtyTrees | None = None

    @property
    def object_environment(self) -> dict[str, str]:
        """What git needs to see the temporary objects too."""
        return self.dirty.environment if self.dirty else {}

    def committed(self, path: str) -> Entry | None:
        return Entry(DIRECTORY, self.root_tree) if path == "" and self.root_tree else self.entries.get(path)

    def current(self, path: str) -> Entry | None:
        """What is there now: the dirty entry where something changed, else the committed one."""
        if self.dirty is not None and self.dirty.covers(path):
            return self.dirty.entry(path)
        return self.committed(path)

    def submodule_above(self, path: str) -> str | None:
        """The submodule that `path` lies in, if any."""
        while path:
            entry = self.entries.get(path)
            if entry and entry.mode == SUBMODULE:
                return path
            path = posixpath.dirname(path)
        return None


class SourceState:
    """The repositories that a tree's packages lie in, looked at once."""

    def __init__(self, root: Path, paths: Iterable[str], *, revision: str = "HEAD") -> None:
        """Look at `paths` (relative to `root`). With another revision than HEAD, nothing counts as dirty.

        Raises `SourceError` outside git, for an unknown revision, and for paths that git does not know.
        """
        self.root = root
        self._repositories: dict[Path, Repository] = {}
        self._places: dict[str, tuple[Repository, str]] = {}
        by_top: dict[Path, list[tuple[str, str]]] = {}
        top = find_top(root)
        if top is None:
            raise SourceError(
                f"{root} is not in a git repository",
                hint="tags come from git: run 'git init', 'git add .' and 'git commit' there",
            )
        # Resolved once: inside a submodule, a name such as a tag would mean something else or nothing.
        self._revisions: dict[Path, str] = {top: revision if revision == "HEAD" else commit_of(top, revision)}
        prefix = root.relative_to(top).as_posix()
        prefix = "" if prefix == "." else prefix
        for path in paths:
            inside = posixpath.normpath(posixpath.join(prefix, path))
            by_top.setdefault(top, []).append((path, "" if inside == "." else inside))
        for repository_top, wanted in by_top.items():
            self._look(repository_top, wanted)

    @property
    def main(self) -> Repository:
        """The repository of the tree's root."""
        top = find_top(self.root)
        assert top is not None
        return self._repositories.get(top) or self._repository(top, [])

    def facts(self, path: str) -> PathFacts:
        """What git knows of a path that was asked for at the start."""
        repository, inside = self._places[path]
        committed, current = repository.committed(inside), repository.current(inside)
        if current is None:
            raise SourceError(
                f"{path or '.'} is not in git",
                hint=f"git add {path or '.'}; if it is ignored on purpose, it can't be a package's source",
            )
        return PathFacts(current.mode, committed.id if committed else "", current.id, self._nested(repository, inside))

    def place(self, path: str) -> tuple[Repository, str]:
        """The repository that a path lies in, and its path there."""
        return self._places[path]

    def submodule(self, repository: Repository, path: str) -> Repository:
        """The repository of a submodule. Raises `SourceError` if it is not checked out."""
        return self._repository(self._checked_out(repository, path), [])

    def _checked_out(self, repository: Repository, path: str) -> Path:
        top = repository.top / path
        if not (top / ".git").exists():
            raise SourceError(f"the submodule {path} is not checked out", hint=f"git submodule update --init {path}")
        if self._revisions[repository.top] != "HEAD":
            self._revisions[top] = repository.entries[path].id
        return top

    def _look(self, top: Path, wanted: list[tuple[str, str]]) -> None:
        repository = self._repository(top, [inside for _, inside in wanted])
        in_submodules: dict[str, list[tuple[str, str]]] = {}
        for path, inside in wanted:
            submodule = repository.submodule_above(inside)
            if submodule is None:
                self._places[path] = (repository, inside)
            else:
                below = posixpath.relpath(inside, submodule)
                in_submodules.setdefault(submodule, []).append((path, "" if below == "." else below))
        for submodule, below_wanted in in_submodules.items():
            self._look(self._checked_out(repository, submodule), below_wanted)

    def _repository(self, top: Path, wanted: list[str]) -> Repository:
        revision = self._revisions.get(top, "HEAD")
        if top not in self._repositories:
            self._repositories[top] = _read_repository(top, revision, wanted)
        repository = self._repositories[top]
        known = repository.dirty.paths if repository.dirty else ()
        new = [path for path in wanted if path in repository.touched and path not in known]
        if new:
            start = revision if repository.commit else ""
            repository.dirty = DirtyTrees(top, start, [*known, *new])
        return repository

    def _nested(self, repository: Repository, path: str) -> tuple[tuple[str, str], ...]:
        below = [
            name
            for name, is_submodule in repository.changed.items()
            if is_submodule and (not path or name == path or name.startswith(f"{path}/"))
        ]
        result = []
        for name in below:
            submodule = self._repository(repository.top / name, [""])
            current = submodule.current("")
            result.append((name, current.id if current else ""))
            result += [(f"{name}/{inner}", identity) for inner, identity in self._nested(submodule, "")]
        return tuple(result)


def _read_repository(top: Path, revision: str, wanted: Iterable[str]) -> Repository:
    # Listing only trees is enough, and much less, unless somebody asks for a single file.
    files_wanted = any(path and not (top / path).is_dir() for path in wanted)
    listing_options = ["-r", "-t", "-z", "--full-tree"] if files_wanted else ["-r", "-d", "-t", "-z", "--full-tree"]
    listing = _Later(lambda: parse_listing(git(top, ["ls-tree", *listing_options, revision])))
    changes = _Later(lambda: _changes(top) if revision == "HEAD" else {})
    commit, root_tree = _heads(top, revision)
    changed = changes.result()
    # A repository without a commit has nothing to list: everything in it is new.
    entries = listing.result() if commit else {}
    return Repository(top, commit, root_tree, entries, changed, _with_parents(changed))


class _Later(threading.Thread, Generic[Result]):
    """A call that waits for a process, made while others do."""

    def __init__(self, call: Callable[[], Result]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._outcome: Result | BaseException
        self.start()

    def run(self) -> None:
        try:
            self._outcome = self._call()
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            self._outcome = error

    def result(self) -> Result:
        self.join()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


def _heads(top: Path, revision: str) -> tuple[str, str]:
    try:
        commit, tree = text(git(top, ["rev-parse", f"{revision}^{{commit}}", f"{revision}^{{tree}}"])).split()
    except SourceError:
        if revision == "HEAD":
            return "", ""
        raise SourceError(f"{revision} is not a commit of {top}", hint="git log --oneline") from None
    return commit, tree


def _changes(top: Path) -> dict[str, bool]:
    """Paths that differ from HEAD in the index or on disk, and untracked ones (git-status(1), porcelain v2)."""
    output = text(git(top, ["status", *_STATUS]))
    changed: dict[str, bool] = {}
    for line in output.split("\0"):
        if line.startswith("? "):
            changed[line[2:].rstrip("/")] = False
        elif line.startswith("1 "):
            fields = line.split(" ", 8)
            changed[fields[8]] = fields[2].startswith("S") and (fields[2][2] == "M" or fields[2][3] == "U")
        elif line.startswith("u "):
            changed[line.split(" ", 10)[10]] = False
    return changed


def _with_parents(paths: Iterable[str]) -> frozenset[str]:
    touched: set[str] = set()
    for path in paths:
        while path not in touched:
            touched.add(path)
            path = posixpath.dirname(path)  # noqa: PLW2901
    return frozenset(touched)
