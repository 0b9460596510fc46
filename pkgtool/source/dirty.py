"""The trees of what is really on disk, written by git itself without touching the repository.

A temporary index starts as the commit, `git add -A` brings it to the state of the working tree below the given
paths, `git write-tree` names it. New objects go to a temporary directory that has the repository's as alternate.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from pkgtool.source.entries import DIRECTORY, Entry, parse_listing
from pkgtool.source.git import git, text


class DirtyTrees:
    """The entries of dirty paths. The temporary objects live as long as this object."""

    def __init__(self, top: Path, revision: str, paths: Sequence[str]) -> None:
        """`revision` is what the index starts from; empty for a repository without a commit."""
        place = Path(tempfile.mkdtemp(prefix="pkgtool-objects-"))
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        (place / "objects").mkdir()
        objects = Path(text(git(top, ["rev-parse", "--git-path", "objects"])).strip())
        self.environment = {
            "GIT_INDEX_FILE": str(place / "index"),
            "GIT_OBJECT_DIRECTORY": str(place / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted((top / objects).resolve()),
        }
        if revision:
            git(top, ["read-tree", revision], env=self.environment)
        # core.safecrlf would refuse what a commit would merely warn about.
        added = [path or "." for path in paths]
        git(top, ["-c", "core.safecrlf=false", "add", "--all", "--", *added], env=self.environment)
        tree = text(git(top, ["write-tree"], env=self.environment)).strip()
        self.paths = tuple(paths)
        self._entries = {"": Entry(DIRECTORY, tree)}
        named = [path for path in paths if path]
        if named:
            listing = git(top, ["ls-tree", "-z", "--full-tree", tree, "--", *named], env=self.environment)
            self._entries.update(parse_listing(listing))

    def covers(self, path: str) -> bool:
        """Whether `path` is one of those given at the start."""
        return path in self.paths

    def entry(self, path: str) -> Entry | None:
        """The entry of a covered path; None if nothing is there any more."""
        return self._entries.get(path)


def _quoted(path: Path) -> str:
    """A path as an item of a list of alternates, where a colon would end it (git(1), environment variables)."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
