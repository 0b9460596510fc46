"""A commit as a working tree of its own, in another directory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pkgtool.errors import SourceError
from pkgtool.source.git import git

_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}


def has_commit(repository: Path, commit: str) -> bool:
    """Whether a repository holds a commit."""
    try:
        git(repository, ["cat-file", "-e", f"{commit}^{{commit}}"])
    except SourceError:
        return False
    return True


@contextmanager
def checked_out(commit: str, origin: str) -> Iterator[Path]:
    """The tree of `commit` of the repository `origin` (a directory or URL), gone after the block.

    Raises `SourceError` if `origin` does not have it.
    """
    with tempfile.TemporaryDirectory(prefix="pkgtool-checkout-") as name:
        place = Path(name) / "tree"
        place.mkdir()
        git(place, ["init", "--quiet"])
        try:
            git(place, ["fetch", "--quiet", "--depth=1", "--", origin, commit], env=_ENVIRONMENT)
        except SourceError:  # servers may refuse what no branch or tag points at
            git(place, ["fetch", "--quiet", "--", origin, "+refs/*:refs/fetched/*"], env=_ENVIRONMENT)
        if not has_commit(place, commit):
            raise SourceError(f"{origin} has no commit {commit}", hint="name another repository with --source")
        git(place, ["checkout", "--quiet", "--detach", commit])
        if (place / ".gitmodules").is_file():
            git(place, ["submodule", "--quiet", "update", "--init", "--recursive"], env=_ENVIRONMENT)
        yield place
