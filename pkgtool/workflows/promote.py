"""Moving a release: from registry to registry, or through a directory or archive for closed networks.

Nothing is rebuilt, and signatures and attestations of both kinds go along: referrers and the classic tags.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pkgtool.cancel import Cancellation
from pkgtool.errors import PkgtoolError, RegistryError, StoreError, UsageError
from pkgtool.events import Note, Sink
from pkgtool.oci import files
from pkgtool.oci.registry.companions import copy_with_companions
from pkgtool.oci.registry.point import TagMove, point_tags
from pkgtool.oci.registry.transfer import CopyOptions
from pkgtool.oci.repository import Target
from pkgtool.oci.store import Layout
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.oci.store.store import remove_tree
from pkgtool.release import Release, ReleasedPackage
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.registries import open_registry
from pkgtool.workflows.store import find_store
from pkgtool.workflows.tree import open_workspace

RELEASE_FILE = "release.json"
_PRIVATE = ".pkgtool"
"""Where a layout keeps its lock and unfinished files while it is worked on."""
Place = Callable[[str], Target]
"""From a package's repository name to that repository in some place."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """One package that was copied: its index, and how many signatures and attestations were new there."""

    package: ReleasedPackage
    target: str
    companions: int


def promote(
    options: RunOptions, release: Release, source: str, target: str, *, events: Sink, cancel: Cancellation
) -> list[Promoted]:
    """Copy a release from one registry to another; its tags come last."""
    with _registry(options, source, events, cancel) as origin, _registry(options, target, events, cancel) as goal:
        return _transfer(release, origin, goal, events, cancel)


def export_release(
    options: RunOptions, release: Release, source: str, path: Path, *, events: Sink, cancel: Cancellation
) -> list[Promoted]:
    """Copy a release into a directory, or (a path that ends in .tar) an archive: an OCI image layout."""
    if path.exists() and (path.is_file() or any(path.iterdir())):
        raise UsageError(f"{path} is there already", hint="name a new directory or archive")
    with _registry(options, source, events, cancel) as origin, _written_layout(path) as layout:
        (layout.root / RELEASE_FILE).write_bytes(release.encode())
        return _transfer(release, origin, lambda name: StoreRepository(layout, name), events, cancel)


def import_release(
    options: RunOptions, path: Path, target: str, *, events: Sink, cancel: Cancellation
) -> tuple[Release, list[Promoted]]:
    """Copy a release out of what `export_release` wrote into a registry."""
    with _read_layout(path) as layout, _registry(options, target, events, cancel) as goal:
        release = Release.read(layout.root / RELEASE_FILE)
        return release, _transfer(release, lambda name: StoreRepository(layout, name), goal, events, cancel)


def _transfer(release: Release, source: Place, target: Place, events: Sink, cancel: Cancellation) -> list[Promoted]:
    done: list[Promoted] = []
    moves: list[TagMove] = []
    for package in release.packages:
        cancel.check()
        events(Note("info", f"copying {package.name}"))
        goal = target(package.repository)
        copying = CopyOptions(step=f"copy {package.name}", sink=events)
        found, companions = copy_with_companions(
            source(package.repository), goal, package.index.digest, options=copying
        )
        if found.digest != package.index.digest:
            raise RegistryError(f"{goal.name} holds {found.digest}, the release says {package.index.digest}")
        done.append(Promoted(package, goal.name, companions.referrers + companions.tags))
        moves += [TagMove(goal, f"{package.tag}-{image.platform.suffix}", image.digest) for image in package.images]
        moves += [TagMove(goal, package.tag, package.index.digest), TagMove(goal, release.name, package.index.digest)]
    point_tags(moves)
    return done


@contextmanager
def _registry(options: RunOptions, name: str, events: Sink, cancel: Cancellation) -> Iterator[Place]:
    try:
        workspace, _ = open_workspace(options)
    except PkgtoolError:
        workspace = None  # a release can be moved from anywhere; a tree only adds settings
    with open_registry(name, workspace, find_store(options), events=events, cancel=cancel) as registry:
        yield registry.repository


@contextmanager
def _written_layout(path: Path) -> Iterator[Layout]:
    """A layout in a new directory; for an archive, packed into its place at the end."""
    if path.suffix != ".tar":
        layout = _layout(path)
        yield layout
        remove_tree(layout.root / _PRIVATE)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pkgtool-export-", dir=path.parent) as scratch:
        layout = _layout(Path(scratch) / "layout")
        yield layout
        with files.HashingWriter(path.parent) as out:
            with tarfile.open(fileobj=cast(Any, out), mode="w|", format=tarfile.PAX_FORMAT) as archive:
                for entry in sorted(layout.root.iterdir()):
                    if entry.name != _PRIVATE:
                        archive.add(entry, arcname=entry.name, filter=_anonymous)
            out.move_to(path)


@contextmanager
def _read_layout(path: Path) -> Iterator[Layout]:
    if path.is_dir():
        yield _layout(path)
        return
    with tempfile.TemporaryDirectory(prefix="pkgtool-import-") as scratch:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(scratch, filter="data")
        except (OSError, tarfile.TarError) as problem:
            raise StoreError(
                f"{path} is no archive of a release: {problem}", hint="pkgtool export writes one"
            ) from problem
        yield _layout(Path(scratch))


def _layout(root: Path) -> Layout:
    private = root / _PRIVATE
    private.mkdir(parents=True, exist_ok=True)
    layout = Layout(root, temporary=lambda: private, lock=private / "lock")
    layout.create()
    return layout


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member
