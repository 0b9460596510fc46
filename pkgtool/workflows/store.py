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
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import Tree, build_platform, open_store, open_tree, open_workspace


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
        needs = _needs(open_tree(options, everything=True))
    except SourceError:
        needs = Needs()
    with store.in_use(exclusive=True):
        return collect(store, needs, limits, dry_run=dry_run)


def _needs(tree: Tree) -> Needs:
    keys, references = set(), set()
    for name, fingerprint in tree.fingerprints.items():
        package = tree.package(name)
        references.add(str(fingerprint.reference))
        for platform in {*package.platforms, build_platform()}:
            keys.add(build_key(fingerprint, package, platform))
            references.add(str(fingerprint.platform_reference(platform)))
    return Needs(frozenset(keys), frozenset(references))


def export(options: RunOptions, reference: str, target: Path, *, form: str) -> Descriptor:
    """Write a reference of the store as an archive: `oci` (all platforms) or `docker` (one platform).

    The file appears only when it is whole. Raises `StoreError` if the store has no such reference, `UsageError` if
    a Docker archive is asked for and the platform is not clear.
    """
    store = find_store(options)
    name = ImageRef.parse(_full_name(options, reference))
    root = store.layout.resolve(str(name))
    if root is None:
        raise StoreError(f"the store has no reference {reference}", hint="pkgtool store ls")
    chosen = root if form == "oci" else _one_platform(store, root, options)
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


def _one_platform(store: Store, root: Descriptor, options: RunOptions) -> Descriptor:
    if not root.is_index:
        return root
    wanted = options.platforms[0] if options.platforms else build_platform()
    manifests = store.layout.index(root).manifests
    for manifest in manifests:
        if manifest.platform == wanted:
            return manifest
    have = ", ".join(str(manifest.platform) for manifest in manifests)
    raise UsageError(f"the reference has no image for {wanted}, only for {have}", hint="--platform OS/ARCH")
