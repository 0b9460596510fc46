"""What is published of packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pkgtool.cancel import Cancellation
from pkgtool.events import Sink
from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.oci.registry.publish import read_index
from pkgtool.oci.registry.repository import RegistryRepository
from pkgtool.values import Platform
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.registries import open_registry, require_registry
from pkgtool.workflows.tree import open_store, open_tree


@dataclass(frozen=True, slots=True)
class PublishedImage:
    """One platform's image: its manifest and the bytes of all that it needs."""

    platform: Platform
    manifest: Descriptor
    size: int


@dataclass(frozen=True, slots=True)
class PublishedPackage:
    """What stands under a package's tag; without an index, nothing does."""

    package: str
    reference: str
    index: Descriptor | None
    images: tuple[PublishedImage, ...] = ()


def manifests(
    options: RunOptions, packages: Sequence[str], *, tag: str = "", events: Sink, cancel: Cancellation
) -> Iterator[PublishedPackage]:
    """What the registry has under the current tags of packages (or under `tag`).

    Raises `RegistryError` if it can't answer.
    """
    tree = open_tree(options, packages)
    name = require_registry(options, tree.workspace, [tree.fingerprints[n] for n in tree.names])
    store = open_store(options, tree.workspace)
    with open_registry(name, tree.workspace, store, events=events, cancel=cancel) as registry:
        for package in tree.names:
            reference = tree.fingerprints[package].reference
            repository = registry.repository(reference.repository)
            wanted = tag or reference.tag
            found = read_index(repository, wanted)
            images = tuple(_image(repository, platform, found.images[platform]) for platform in sorted(found.images))
            yield PublishedPackage(package, f"{repository.name}:{wanted}", found.descriptor, images)


def _image(repository: RegistryRepository, platform: Platform, descriptor: Descriptor) -> PublishedImage:
    found = repository.get_manifest(descriptor.digest)
    blobs = Manifest.parse(found[1], what=str(descriptor.digest)).blobs if found else ()
    return PublishedImage(platform, descriptor, descriptor.size + sum(blob.size for blob in blobs))
