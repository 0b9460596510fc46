"""What people do with the store: look, check, collect, export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import SourceError, StoreError, UsageError
from pkgtool.oci import archive, files
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store import Store
from pkgtool.oci.store.check import Finding, check
from pkgtool.oci.store.collect import Collected, Limits, Needs, collect
from pkgtool.plan.planner import build_key
from pkgtool.values import ImageRef, Platform
from pkgtool.workflows import locks
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import Tree, asked_platforms, build_platform, open_store, open_tree, open_workspace


@dataclass(frozen=True, slots=True)
class Listed:
    """A reference of the store: what it points at, for which platforms, and how many bytes that is."""

    reference: str
    target: Descriptor
    platforms: tuple[Platform, ...]
    size: int


def find_store(options: RunOptions) -> Store:
    """The store of this tree; outside any tree, the one that the options and the environment name."""
    if options.store is not None:
        return open_store(options)
    try:
        workspace, _ = open_workspace(options)
    except SourceError:
        return open_store(options)
    return open_store(options, workspace)


def listing(store: Store) -> Iterator[Listed]:
    """The references of the store, by name."""
    for name, descriptor in sorted(store.layout.references().items()):
        below = {d.digest: d for d in archive.everything_below(store.layout, descriptor)}
        platforms = tuple(d.platform for d in below.values() if d.platform)
        yield Listed(name, descriptor, platforms, sum(d.size for d in below.values()))


def verify(store: Store, *, repair: bool) -> list[Finding]:
    """What is wrong with the store; with `repair` it has been taken out when this returns."""
    if not store.private.exists():
        return []
    with store.in_use(exclusive=repair):
        found = list(check(store))
        if repair:
            for finding in found:
                finding.repair()
    return found


def gc(options: RunOptions, limits: Limits, *, dry_run: bool) -> Collected:
    """Collect what no current tag of the tree needs. Outside a tree nothing counts as needed."""
    store = find_store(options)
    try:
        needs = _needs(open_tree(options, everything=True), store)
    except (SourceError, UsageError):  # outside any repository, or where there is no package
        needs = Needs()
    with store.in_use(exclusive=True):
        return collect(store, needs, limits, dry_run=dry_run)


def _needs(tree: Tree, store: Store) -> Needs:
    keys, references = set(), set()
    for name, fingerprint in tree.fingerprints.items():
        package = tree.package(name)
        references.add(str(fingerprint.reference))
        for platform in {*package.platforms, build_platform()}:
            keys.add(build_key(fingerprint, package, platform))
            references.add(str(fingerprint.platform_reference(platform)))
    return Needs(frozenset(keys), frozenset(references), locks.contents(tree.workspace, store))


def export(options: RunOptions, reference: str, target: Path, *, form: str) -> Descriptor:
    """Write a reference of the store as an archive: `oci` or `docker`.

    A Docker archive holds one platform, an OCI archive all of them unless one is named. The file appears only when it
    is whole. Raises `StoreError` if the store has no such reference, `UsageError` if it is not for that platform.
    """
    store = find_store(options)
    name = ImageRef.parse(_full_name(options, reference))
    root = store.layout.resolve(str(name))
    if root is None:
        raise StoreError(f"the store has no reference {reference}", hint="pkgtool store ls")
    platform = _wanted_platform(options, form)
    chosen = _of_platform(store, root, platform) if platform else root
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.HashingWriter(target.parent) as out:
        if form == "oci":
            archive.write_oci_archive(store.layout, chosen, str(name), out)
        else:
            archive.write_docker_archive(store.layout, chosen, [name], out)
        out.move_to(target)
    return chosen


def _full_name(options: RunOptions, reference: str) -> str:
    """The name in the store of a reference, or of a package's current tag."""
    if ":" in reference:
        return reference
    tree = open_tree(options, [reference])
    return str(tree.fingerprints[tree.names[0]].reference)


def _wanted_platform(options: RunOptions, form: str) -> Platform | None:
    """The platform to export; None means all there are."""
    if form == "oci" and not options.platforms:
        return None
    named = asked_platforms(options) or (build_platform(),)
    if len(named) > 1:
        raise UsageError("an archive holds one platform or, as OCI archive, all of them", hint="--platform OS/ARCH")
    return named[0]


def _of_platform(store: Store, root: Descriptor, wanted: Platform) -> Descriptor:
    if not root.is_index:
        return root
    manifests = store.layout.index(root).manifests
    for manifest in manifests:
        if manifest.platform == wanted:
            return manifest
    have = ", ".join(str(manifest.platform) for manifest in manifests)
    raise UsageError(f"the reference has no image for {wanted}, only for {have}", hint="--platform OS/ARCH")
