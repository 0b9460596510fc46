"""Opening a tree: find its root, read it, look at git once, and work out fingerprints."""

from __future__ import annotations

import os
import platform as host
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pkgtool.config.loader import LoadOptions, load
from pkgtool.config.settings import FILE as SETTINGS_FILE
from pkgtool.errors import SourceError, UsageError
from pkgtool.fingerprint import Fingerprint, compute
from pkgtool.graph import closure
from pkgtool.model import Package, Workspace
from pkgtool.oci.store import Store
from pkgtool.source.git import find_top
from pkgtool.source.state import SourceState
from pkgtool.source.trees import CommitTree, SourceTree, WorkingTree
from pkgtool.values import Platform
from pkgtool.workflows import kernels
from pkgtool.workflows.options import RunOptions


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree that has been read: its packages, those that were asked for, and the state of their sources."""

    workspace: Workspace
    names: tuple[str, ...]
    sources: SourceState
    fingerprints: Mapping[str, Fingerprint]

    def package(self, name: str) -> Package:
        return self.workspace.packages[name]


def open_tree(
    options: RunOptions, arguments: Sequence[str] = (), *, everything: bool = False, commit: str = ""
) -> Tree:
    """Read the tree that `options.directory` lies in, and fingerprint what `arguments` name (none: all).

    With `everything`, all packages are fingerprinted whatever the arguments; with `commit`, it is the tree of that
    commit, whatever is checked out. Raises `ConfigError`, `SourceError`, or `UsageError` for an argument that is no
    package.
    """
    opened = open_workspace(options, arguments, commit=commit) if commit else open_packages(options, arguments)
    workspace, names = opened
    chosen = set(workspace.packages) if everything else closure(workspace.packages, names)
    paths = {part.path: None for name in chosen for part in workspace.packages[name].context}
    if options.tag.hash_path is not None:
        paths[options.tag.hash_path] = None
        _check_hash_path(options.tag.hash_path, [workspace.packages[name] for name in names])
    sources = SourceState(Path(workspace.root), paths, revision=commit or options.revision)
    wanted = None if everything else names
    fingerprints = compute(workspace.packages, sources.facts, names=wanted, overrides=options.tag)
    return Tree(workspace, names, sources, fingerprints)


def _check_hash_path(path: str, packages: Sequence[Package]) -> None:
    for package in packages:
        if path and not f"{package.path}/".startswith(f"{path}/"):
            raise UsageError(
                f"--hash-path {path} is not above {package.path}",
                hint="name the packages that it is meant for, or a directory above all of them",
            )


def open_workspace(
    options: RunOptions, arguments: Sequence[str] = (), *, commit: str = ""
) -> tuple[Workspace, tuple[str, ...]]:
    """Read the configuration alone: the workspace, and the names of the packages that `arguments` mean."""
    root = find_root(options.directory)
    top = find_top(root)
    prefix = f"{root.relative_to(top).as_posix()}/" if top and top != root else ""
    files = CommitTree(root, prefix, commit) if commit else WorkingTree(root)
    given = {argument: _as_directory(argument, options, root, files) for argument in arguments}
    also = tuple(path for path in given.values() if path is not None)
    make = kernels.maker(root, files, options)
    workspace = load(files, LoadOptions(str(root), prefix, options.overrides, also, tuple(given), make))
    return workspace, _names(workspace, given)


def open_packages(options: RunOptions, arguments: Sequence[str] = ()) -> tuple[Workspace, tuple[str, ...]]:
    """What `open_workspace` answers, for who works on packages. Raises `UsageError` too, where there are none."""
    workspace, names = open_workspace(options, arguments)
    if not names and not workspace.packages:
        raise UsageError(
            f"there is no package in {workspace.root}: no {options.overrides.build_file} in "
            + " or ".join(workspace.settings.packages),
            hint="pkgtool -C DIRECTORY works on another tree; docs/configuration.md says how a tree is laid out",
        )
    return workspace, names


def find_root(directory: Path) -> Path:
    """The root of a tree: the nearest directory above with a pkgtool.yml, else the top of the git repository.

    Raises `SourceError` if the directory does not exist.
    """
    start = directory.resolve()
    if not start.is_dir():
        raise SourceError(f"{directory} is not a directory")
    for candidate in (start, *start.parents):
        if (candidate / SETTINGS_FILE).is_file():
            return candidate
    return find_top(start) or start


def open_store(options: RunOptions, workspace: Workspace | None = None) -> Store:
    """The store: from the command line, PKGTOOL_STORE, pkgtool.yml, or the user's cache directory."""
    if options.store is not None:
        return Store(options.store.resolve())
    if os.environ.get("PKGTOOL_STORE"):
        return Store(Path(os.environ["PKGTOOL_STORE"]).resolve())
    if workspace and workspace.settings.store:
        return Store((Path(workspace.root) / Path(workspace.settings.store).expanduser()).resolve())
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Store(Path(cache) / "pkgtool" / "store")


def build_platform() -> Platform:
    """The platform of this machine."""
    return Platform.parse(f"linux/{host.machine().lower()}")


def target_platforms(
    options: RunOptions, workspace: Workspace, *, all_by_default: bool = False
) -> tuple[Platform, ...]:
    """What to build for: the command line, else GOOS and GOARCH, else this machine's platform, or the tree's.

    Raises `UsageError` for a GOOS or GOARCH that can't be.
    """
    if asked := asked_platforms(options):
        return asked
    if not all_by_default:
        return (build_platform(),)
    everything = {platform for package in workspace.packages.values() for platform in package.platforms}
    return workspace.settings.platforms or tuple(sorted(everything))


def asked_platforms(options: RunOptions) -> tuple[Platform, ...]:
    """What the command line names, else GOOS and GOARCH; none if neither does. Raises as `target_platforms` does."""
    if options.platforms:
        return options.platforms
    goos, goarch = os.environ.get("GOOS", ""), os.environ.get("GOARCH", "")
    if not (goos or goarch):
        return ()
    try:
        return (Platform.parse(f"{goos or 'linux'}/{goarch or build_platform().arch}"),)
    except ValueError as problem:
        raise UsageError(f"GOOS and GOARCH: {problem}") from problem


def _as_directory(argument: str, options: RunOptions, root: Path, files: SourceTree) -> str | None:
    """The path inside the tree of an argument that is a directory with a build.yml; None if it is none."""
    path = (options.directory / argument).resolve()
    if not path.is_relative_to(root):
        if not (path / options.overrides.build_file).is_file():
            return None
        raise UsageError(f"{argument} is outside the tree {root}", hint=f"pkgtool -C {argument} …")
    inside = path.relative_to(root).as_posix()
    inside = "" if inside == "." else inside
    return inside if files.is_file(posixpath.join(inside, options.overrides.build_file)) else None


def _names(workspace: Workspace, given: Mapping[str, str | None]) -> tuple[str, ...]:
    if not given:
        return tuple(workspace.packages)
    by_path = {package.path: name for name, package in workspace.packages.items()}
    names: dict[str, None] = {}
    for argument, path in given.items():
        if argument in workspace.packages:
            names[argument] = None
        elif path is not None and path in by_path:
            names[by_path[path]] = None
        else:
            raise UsageError(f"there is no package {argument!r}", hint=_suggestion(argument, workspace))
    return tuple(names)


def _suggestion(argument: str, workspace: Workspace) -> str:
    from difflib import get_close_matches

    close = get_close_matches(argument.rstrip("/").rpartition("/")[2], workspace.packages, n=1)
    return f"did you mean {close[0]!r}?" if close else "pkgtool list shows the packages of this tree"
