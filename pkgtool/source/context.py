"""A build context made from git alone: only what git tracks (or would, in a dirty tree) can reach an image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import SourceError
from pkgtool.model import ContextPath
from pkgtool.source.entries import DIRECTORY, EXECUTABLE, SUBMODULE, SYMLINK, Entry, parse_listing
from pkgtool.source.git import git, read_blobs
from pkgtool.source.state import Repository, SourceState

IGNORE_FILE = ".dockerignore"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a package: its path in the context, git's mode, and where its content is."""

    path: str
    mode: str
    id: str
    repository: Repository


def list_files(state: SourceState, context: Iterable[ContextPath]) -> list[SourceFile]:
    """All files of a build context, later context paths replacing earlier ones, sorted by path."""
    found: dict[str, SourceFile] = {}
    for part in context:
        repository, inside = state.place(part.path)
        entry = repository.current(inside)
        if entry is None:
            raise SourceError(f"{part.path or '.'} is not in git", hint=f"git add {part.path or '.'}")
        for file in _files(state, repository, inside, entry, part.destination):
            found[file.path] = file
    return [found[path] for path in sorted(found)]


def write_context(state: SourceState, context: Iterable[ContextPath], directory: Path, *, epoch: int) -> None:
    """Write the files of a build context below `directory`.

    Modes are 0755 and 0644 whatever the umask, times are `epoch` (seconds since 1970). What a `.dockerignore`
    at the top excludes is left out, as every engine does, but here in one way for all of them.
    """
    files = list_files(state, context)
    by_repository: dict[int, list[SourceFile]] = {}
    for file in files:
        by_repository.setdefault(id(file.repository), []).append(file)
    directory.mkdir(parents=True, exist_ok=True)
    for group in by_repository.values():
        repository = group[0].repository
        contents = read_blobs(repository.top, [f.id for f in group], env=repository.object_environment)
        for file, content in zip(group, contents, strict=True):
            _write(directory, file, content)
    _apply_ignore_file(directory)
    normalise(directory, epoch=epoch)


def normalise(directory: Path, *, epoch: int) -> None:
    """Give every file and directory below (and itself) fixed permissions and times."""
    for parent, directories, names in os.walk(directory, topdown=False):
        for name in (*directories, *names):
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (epoch, epoch), follow_symlinks=False)
    directory.chmod(0o755)
    os.utime(directory, (epoch, epoch))


def _files(
    state: SourceState, repository: Repository, inside: str, entry: Entry, destination: str
) -> Iterator[SourceFile]:
    if entry.mode == SUBMODULE:
        yield from _submodule_files(state, repository, inside, destination)
        return
    if entry.mode != DIRECTORY:
        yield SourceFile(_safe(destination or inside.rsplit("/", 1)[-1]), entry.mode, entry.id, repository)
        return
    listing = git(repository.top, ["ls-tree", "-r", "-z", entry.id], env=repository.object_environment)
    for name, below in parse_listing(listing).items():
        target = _safe(f"{destination}/{name}" if destination else name)
        if below.mode == SUBMODULE:
            yield from _submodule_files(state, repository, f"{inside}/{name}" if inside else name, target)
        else:
            yield SourceFile(target, below.mode, below.id, repository)


def _submodule_files(state: SourceState, repository: Repository, inside: str, destination: str) -> Iterator[SourceFile]:
    submodule = state.submodule(repository, inside)
    current = submodule.current("")
    if current is not None:
        yield from _files(state, submodule, "", current, destination)


def _safe(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise SourceError(f"the repository holds a file with the unsafe name {path!r}")
    return path


def _write(directory: Path, file: SourceFile, content: bytes) -> None:
    place = directory / os.fsdecode(os.fsencode(file.path))
    for parent in place.relative_to(directory).parents:
        if (directory / parent).is_symlink():
            raise SourceError(f"{file.path} would be written through the symbolic link {parent}")
    place.parent.mkdir(parents=True, exist_ok=True)
    if file.mode == SYMLINK:
        place.symlink_to(os.fsdecode(content))
        return
    place.write_bytes(content)
    place.chmod(0o755 if file.mode == EXECUTABLE else 0o644)


def _apply_ignore_file(directory: Path) -> None:
    ignore = directory / IGNORE_FILE
    if not ignore.is_file():
        return
    from docker.utils.build import exclude_paths

    patterns = [line.strip() for line in ignore.read_text("utf-8", "replace").splitlines()]
    wanted = [pattern for pattern in patterns if pattern and not pattern.startswith("#")]
    kept = exclude_paths(str(directory), wanted, dockerfile=IGNORE_FILE)
    for parent, directories, names in os.walk(directory, topdown=False):
        for name in names:
            path = Path(parent, name)
            if path.relative_to(directory).as_posix() not in kept:
                path.unlink()
        for name in directories:
            path = Path(parent, name)
            if not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
