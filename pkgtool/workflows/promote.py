"""Moving a release: from registry to registry, or through a directory or archive for closed networks.

Nothing is rebuilt, and signatures and attestations of both kinds go along: referrers and the classic tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import PkgtoolError, StoreError, UsageError
from pkgtool.events import Note, Sink
from pkgtool.oci.documents import EMPTY, Manifest
from pkgtool.oci.registry.companions import copy_with_companions
from pkgtool.oci.registry.point import Replacing, TagMove, point_tags, refuse_conflicts
from pkgtool.oci.registry.transfer import CopyOptions, in_parallel
from pkgtool.oci.repository import Target
from pkgtool.oci.store import Layout
from pkgtool.oci.store.archive import exported, imported
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.release import MEDIA_TYPE, Release, ReleasedPackage
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.registries import open_registry, tell_replaced
from pkgtool.workflows.store import find_store
from pkgtool.workflows.tree import open_workspace

_RELEASES = "pkgtool-release"
"""The repository of an exported layout that holds the release file."""
_AT_ONCE = 4
"""Packages that are copied at a time; the uploads of all of them share one limit."""
Place = Callable[[str], Target]
"""From a package's repository name to that repository in some place."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """One package that was copied: its index, and how many signatures and attestations were new there."""

    package: ReleasedPackage
    target: str
    companions: int


@dataclass(frozen=True, slots=True)
class Moving:
    """Whom to tell, and the tags of the target that may get other content."""

    events: Sink
    replace: tuple[str, ...] = ()


def promote(
    options: RunOptions, release: Release, source: str, target: str, moving: Moving, *, cancel: Cancellation
) -> list[Promoted]:
    """Copy a release from one registry to another; its tags come last.

    Raises `TagConflict` (or `Problems`) before anything is sent if the target has other content under its tags.
    """
    events = moving.events
    with _registry(options, source, events, cancel) as origin, _registry(options, target, events, cancel) as goal:
        command = f"pkgtool promote {source} {target}"
        return _transfer(release, origin, goal, moving, cancel, command=command)


def export_release(
    options: RunOptions, release: Release, source: str, path: Path, moving: Moving, *, cancel: Cancellation
) -> list[Promoted]:
    """Copy a release into a directory, or (a path that ends in .tar) an archive: an OCI image layout."""
    if path.exists() and (path.is_file() or any(path.iterdir())):
        raise UsageError(f"{path} is there already", hint="name a new directory or archive")
    with _registry(options, source, moving.events, cancel) as origin, exported(path) as layout:
        done = _transfer(release, origin, lambda name: StoreRepository(layout, name), moving, cancel)
        _store_release(layout, release)
        return done


def import_release(
    options: RunOptions, path: Path, target: str, moving: Moving, *, cancel: Cancellation
) -> tuple[Release, list[Promoted]]:
    """Copy a release out of what `export_release` wrote into a registry."""
    with imported(path) as layout, _registry(options, target, moving.events, cancel) as goal:
        release = stored_release(layout, path)
        command = f"pkgtool import {path} {target}"
        return release, _transfer(
            release, lambda name: StoreRepository(layout, name), goal, moving, cancel, command=command
        )


def _transfer(
    release: Release, source: Place, target: Place, moving: Moving, cancel: Cancellation, *, command: str = ""
) -> list[Promoted]:
    moves = [move for package in release.packages for move in _moves(release, package, target(package.repository))]
    replacing = Replacing(release.tags_named(moving.replace), command)
    refuse_conflicts(moves, replacing)

    def bring(package: ReleasedPackage) -> Promoted:
        cancel.check()
        moving.events(Note("info", f"copying {package.name}"))
        goal = target(package.repository)
        copying = CopyOptions(step=f"copy {package.name}", sink=moving.events)
        _, companions = copy_with_companions(source(package.repository), goal, package.index.digest, options=copying)
        return Promoted(package, goal.name, companions.referrers + companions.tags)

    done = in_parallel(bring, release.packages, _AT_ONCE)
    tell_replaced(point_tags(moves, replacing), moving.events)
    return done


def _moves(release: Release, package: ReleasedPackage, goal: Target) -> list[TagMove]:
    """Every tag of a package: its platforms', its own, the release's."""
    tags = (package.tag, package.tag_in(release.name))
    platforms = [TagMove(goal, f"{package.tag}-{image.platform.suffix}", image.digest) for image in package.images]
    return [*platforms, *(TagMove(goal, tag, package.index.digest) for tag in tags)]


@contextmanager
def _registry(options: RunOptions, name: str, events: Sink, cancel: Cancellation) -> Iterator[Place]:
    try:
        workspace, _ = open_workspace(options)
    except PkgtoolError:
        workspace = None  # a release can be moved from anywhere; a tree only adds settings
    with open_registry(name, workspace, find_store(options), events=events, cancel=cancel) as registry:
        yield registry.repository


def _store_release(layout: Layout, release: Release) -> None:
    """Keep the release file in a layout as an artifact of its own, so that other tools see it too."""
    repository = StoreRepository(layout, _RELEASES)
    config = repository.write_blob(b"{}", EMPTY)
    file = repository.write_blob(release.encode(), MEDIA_TYPE)
    manifest = Manifest(config, (file,), artifact_type=MEDIA_TYPE)
    repository.put_manifest(manifest.encode(), manifest.media_type, tag=release.name)


def stored_release(layout: Layout, path: Path) -> Release:
    """The release file in what `export_release` wrote. Raises `StoreError` if there is none."""
    repository = StoreRepository(layout, _RELEASES)
    names = repository.tags()
    found = repository.get_manifest(names[0]) if len(names) == 1 else None
    if found is None:
        raise StoreError(f"{path} holds no release", hint="'pkgtool export' writes one")
    file = Manifest.parse(found[1], what=str(path)).layers[0]
    return Release.parse(repository.read_blob(file), what=f"the release in {path}")
