"""A tree of files to read configuration from: the working tree, or a commit."""

from __future__ import annotations

import fnmatch
import os
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from pkgtool.errors import SourceError
from pkgtool.source.entries import SUBMODULE, SYMLINK, parse_listing
from pkgtool.source.git import git, read_blobs


class SourceTree(Protocol):
    """Files by POSIX path relative to the tree's root."""

    def read(self, path: str) -> bytes | None:
        """A file's content, or None if there is no such file."""
        ...

    def is_file(self, path: str) -> bool: ...

    def is_directory(self, path: str) -> bool: ...

    def is_link(self, path: str) -> bool:
        """Whether it is a symbolic link, wherever that leads."""
        ...

    def directories(self, pattern: str) -> list[str]:
        """The directories that a glob such as `pkg/*` matches, sorted, hidden ones left out."""
        ...


class WorkingTree:
    """The files as they are on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}/"

    def read(self, path: str) -> bytes | None:
        try:
            with open(self._prefix + path, "rb") as file:  # noqa: PTH123 - ten thousand of these: a Path each is felt
                return file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as problem:
            raise SourceError(f"{path} can't be read: {problem.strerror}") from problem

    def is_file(self, path: str) -> bool:
        return os.path.isfile(self._prefix + path)

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(self._prefix + path)

    def is_link(self, path: str) -> bool:
        return path != "" and os.path.islink(self._prefix + path)

    def directories(self, pattern: str) -> list[str]:
        found = [""]
        for part in pattern.strip("/").split("/"):
            if part in ("", "."):
                continue
            found = [d for parent in found for d in self._matching(parent, part)]
        return found

    def _matching(self, parent: str, part: str) -> list[str]:
        if not any(c in part for c in "*?["):
            path = posixpath.join(parent, part)
            return [path] if self.is_directory(path) else []
        try:
            with os.scandir(self._prefix + parent) as entries:
                names = [entry.name for entry in entries if entry.is_dir()]
        except OSError:
            return []
        return [posixpath.join(parent, name) for name in _selected(names, part)]


class CommitTree:
    """The files of a commit, read through `git cat-file --batch`."""

    def __init__(self, root: Path, prefix: str, revision: str) -> None:
        """`prefix` is the root's path inside its repository, empty or ending in a slash."""
        self._root = root
        listing = git(root, ["ls-tree", "-r", "-z", "--full-tree", revision, "--", *([prefix] if prefix else [])])
        entries = parse_listing(listing)
        self._blobs = {path.removeprefix(prefix): e.id for path, e in entries.items() if e.mode != SUBMODULE}
        self._links = {path.removeprefix(prefix) for path, e in entries.items() if e.mode == SYMLINK}
        self._directories = {d for path in self._blobs for d in _parents(path)}
        self._contents: dict[str, bytes] = {}

    def preload(self, paths: Iterable[str]) -> None:
        """Read many files in one go."""
        wanted = [path for path in paths if path in self._blobs and path not in self._contents]
        if not wanted:
            return
        contents = read_blobs(self._root, [self._blobs[path] for path in wanted])
        self._contents.update(zip(wanted, contents, strict=True))

    def read(self, path: str) -> bytes | None:
        if path not in self._contents:
            name = posixpath.basename(path)
            # Configuration is read file by file, but of all packages: fetch its siblings along with it.
            self.preload([p for p in self._blobs if posixpath.basename(p) == name] if path in self._blobs else [])
        return self._contents.get(path)

    def is_file(self, path: str) -> bool:
        return path in self._blobs

    def is_directory(self, path: str) -> bool:
        return path == "" or path in self._directories

    def is_link(self, path: str) -> bool:
        return path in self._links

    def directories(self, pattern: str) -> list[str]:
        parts = [part for part in pattern.strip("/").split("/") if part not in ("", ".")]
        if not parts:
            return [""]
        same_depth = [d for d in self._directories if d.count("/") == len(parts) - 1]
        return sorted(
            d
            for d in same_depth
            if all(_selected([name], part) for name, part in zip(d.split("/"), parts, strict=True))
        )


def _selected(names: Iterable[str], pattern: str) -> list[str]:
    hidden_wanted = pattern.startswith(".")
    return sorted(n for n in names if fnmatch.fnmatchcase(n, pattern) and (hidden_wanted or not n.startswith(".")))


def _parents(path: str) -> Iterable[str]:
    parent = posixpath.dirname(path)
    while parent:
        yield parent
        parent = posixpath.dirname(parent)
