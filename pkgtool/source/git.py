"""git, as pkgtool calls it: without locks that disturb others, without a pager, failures as `SourceError`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pkgtool import process
from pkgtool.errors import SourceError


def git(
    directory: Path | str,
    arguments: Sequence[str],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> bytes:
    """The standard output of one git command. Raises `SourceError` with git's own words if it fails."""
    try:
        return process.run(
            ["git", "--no-optional-locks", "--literal-pathspecs", "-c", "core.quotePath=false", *arguments],
            why="read the repository",
            cwd=str(directory),
            stdin=stdin,
            env=env,
        ).output
    except process.ProcessFailed as failure:
        said = [line for line in failure.details if line.strip()]
        reason = said[-1].removeprefix("fatal: ") if said else failure.message
        raise SourceError(f"git {arguments[0]} failed in {directory}: {reason}", hint=_hint(reason)) from failure


def _hint(reason: str) -> str | None:
    if "dubious ownership" in reason:
        return "if you trust that directory: git config --global --add safe.directory DIRECTORY"
    if "not a git repository" in reason:
        return "tags come from git: run 'git init', 'git add .' and 'git commit' in the tree"
    return None


def find_top(path: Path) -> Path | None:
    """The top of the working tree that `path` lies in, found by its `.git` entry, without starting git."""
    for directory in (path, *path.parents):
        if (directory / ".git").exists():
            return directory
    return None


def commit_of(directory: Path | str, revision: str) -> str:
    """The id of the commit that a revision means. Raises `SourceError` if there is none."""
    try:
        found = git(directory, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"])
    except SourceError as problem:
        raise SourceError(f"{revision!r} is not a commit of {directory}", hint="git log --oneline") from problem
    return text(found).strip()


def text(content: bytes) -> str:
    """What git printed as text; bytes that are not UTF-8 (file names) survive as surrogates."""
    return content.decode("utf-8", "surrogateescape")


def read_blobs(directory: Path | str, names: Sequence[str], *, env: Mapping[str, str] | None = None) -> Iterator[bytes]:
    """The contents of objects, in the order of `names`, from one process. Raises `SourceError` if one is missing."""
    answer = git(directory, ["cat-file", "--batch"], stdin="".join(f"{name}\n" for name in names).encode(), env=env)
    position = 0
    for name in names:
        end = answer.index(b"\n", position)
        header = answer[position:end].split(b" ")
        if len(header) != 3:
            raise SourceError(f"object {name} is missing from the repository {directory}", hint="git fsck")
        size = int(header[2])
        yield answer[end + 1 : end + 1 + size]
        position = end + 1 + size + 1
