"""What is published under a tag, in numbers: for `pkgtool manifest` and release files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pkgtool.errors import RegistryError
from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.oci.registry.publish import read_index
from pkgtool.oci.registry.transfer import in_parallel
from pkgtool.oci.repository import Repository
from pkgtool.values import Digest, Platform


@dataclass(frozen=True, slots=True)
class PublishedImage:
    """One platform: its manifest's descriptor, and the configuration and layers that it names."""

    descriptor: Descriptor
    blobs: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """Bytes of configuration and layers."""
        return sum(blob.size for blob in {blob.digest: blob for blob in self.blobs}.values())


@dataclass(frozen=True, slots=True)
class PublishedPackage:
    """An index and its images. `size` counts every blob and manifest once, in bytes."""

    index: Descriptor
    images: Mapping[Platform, PublishedImage]

    @property
    def size(self) -> int:
        sizes: dict[Digest, int] = {self.index.digest: self.index.size}
        for image in self.images.values():
            sizes[image.descriptor.digest] = image.descriptor.size
            sizes.update({blob.digest: blob.size for blob in image.blobs})
        return sum(sizes.values())


def describe_published(repository: Repository, tag: str) -> PublishedPackage | None:
    """What stands under a tag, or None if it does not exist. Raises `RegistryError` if it is no index of platforms."""
    found = read_index(repository, tag)
    if found.descriptor is None:
        return None
    platforms = sorted(found.images)
    images = in_parallel(lambda platform: _image(repository, found.images[platform]), platforms, len(platforms))
    return PublishedPackage(found.descriptor, dict(zip(platforms, images, strict=True)))


def _image(repository: Repository, entry: Descriptor) -> PublishedImage:
    manifest = repository.get_manifest(entry.digest)
    if manifest is None:
        raise RegistryError(f"{repository.name} lists {entry.digest} in an index and does not have it")
    descriptor, content = manifest
    return PublishedImage(descriptor, Manifest.parse(content, what=str(entry.digest), error=RegistryError).blobs)
