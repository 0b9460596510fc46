"""Fills a store with what building a tree would have made, so that tests of publishing need no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store import MemoRecord, Store
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.plan.planner import build_key
from pkgtool.values import Platform
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import open_tree
from tests.support.command_line import CommandLine
from tests.support.registry.images import put_image

Built = dict[str, dict[Platform, Descriptor]]


def fill(
    line: CommandLine,
    *,
    packages: Sequence[str] = (),
    base: int = 3000,
    own: Mapping[str, int] | None = None,
    seed: str = "",
) -> Built:
    """Put an image of every package for each of its platforms into the store, remembered under its current tag.

    All share a layer of `base` bytes; each has one of its own of `own[name]` bytes (500 by default). Another `seed`
    gives other content under the same tags, as an engine that does not build reproducibly would.
    """
    tree = open_tree(RunOptions(directory=line.directory, store=line.store), packages)
    store = Store(line.store)
    built: Built = {}
    with store.in_use():
        for name in tree.names:
            fingerprint, package = tree.fingerprints[name], tree.package(name)
            target = StoreRepository(store.layout, str(fingerprint.reference.name))
            layers = (("common base", base), (f"{name}-{fingerprint.content_hash}{seed}", (own or {}).get(name, 500)))
            for platform in package.platforms:
                image = put_image(target, platform, fingerprint.content_hash, layers)
                blobs = store.layout.manifest(image).blobs
                store.remember(build_key(fingerprint, package, platform), MemoRecord(image, blobs, "a test", 0.0))
                built.setdefault(name, {})[platform] = image
    return built
