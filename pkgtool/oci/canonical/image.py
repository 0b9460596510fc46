"""From an engine's product to the canonical image in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkgtool.errors import StoreError
from pkgtool.oci.canonical.config import ImageSpec, canonical_config
from pkgtool.oci.canonical.contents import file_system
from pkgtool.oci.canonical.layer import Layer, write_layer
from pkgtool.oci.canonical.mounts import settle_mount_points
from pkgtool.oci.canonical.product import Product
from pkgtool.oci.canonical.tree import FileSystem, difference
from pkgtool.oci.documents import CONFIG, MANIFEST, Descriptor, Manifest, decode
from pkgtool.oci.store.layout import Layout
from pkgtool.values import Digest


@dataclass(frozen=True, slots=True)
class CanonicalImage:
    """An image in the store: its manifest and everything that the manifest names."""

    manifest: Descriptor
    blobs: tuple[Descriptor, ...]


def canonicalise(
    layout: Layout, product: Product, spec: ImageSpec, *, parents: Sequence[Descriptor] = ()
) -> CanonicalImage:
    """Write the canonical image of a product.

    `parents` are the manifests of packages that it may be FROM; the one whose layers it starts with is kept as it
    is, and named in the label org.opencontainers.image.base.digest.
    """
    parent = _parent_of(layout, product, parents)
    below = layers_of(layout, parent) if parent else []
    finished = FileSystem()
    before = file_system(layout, below)
    finished.apply(before.items())
    for layer in product.layers[len(below) :]:
        finished.apply(layer.entries())
    after = finished.entries()
    if product.mounts is not None:
        after = settle_mount_points(before, after, product.mounts)
    change = difference(before, after)
    layers = list(below)
    if change.changed or change.removed or not below:
        layers.append(write_layer(layout, change, epoch=spec.epoch))
    labels = dict(spec.labels)
    if parent:
        labels["org.opencontainers.image.base.digest"] = str(parent.digest)
    labelled = ImageSpec(spec.platform, spec.epoch, spec.title, labels)
    config = layout.write(canonical_config(product.config, labelled, [layer.diff_id for layer in layers]), CONFIG)
    manifest = Manifest(config, tuple(layer.descriptor for layer in layers))
    descriptor = layout.write(manifest.encode(), MANIFEST)
    return CanonicalImage(
        Descriptor(MANIFEST, descriptor.digest, descriptor.size, platform=spec.platform), manifest.blobs
    )


def _parent_of(layout: Layout, product: Product, parents: Sequence[Descriptor]) -> Descriptor | None:
    """The parent with the most layers among those whose layers the product starts with."""
    found: tuple[int, Descriptor] | None = None
    built = [layer.diff_id for layer in product.layers]
    for parent in parents:
        own = [layer.diff_id for layer in layers_of(layout, parent)]
        if built[: len(own)] == own and (found is None or len(own) > found[0]):
            found = (len(own), parent)
    return found[1] if found else None


def layers_of(layout: Layout, manifest: Descriptor) -> list[Layer]:
    """The layers of an image in the store, lowest first, with what they unpack to.

    Raises `StoreError` if its configuration does not say that.
    """
    document = layout.manifest(manifest)
    config = decode(layout.read(document.config), what=f"the configuration {document.config.digest}")
    try:
        diff_ids = [Digest.parse(text) for text in config["rootfs"]["diff_ids"]]
        return [Layer(d, diff_id) for d, diff_id in zip(document.layers, diff_ids, strict=True)]
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise StoreError(f"the configuration of image {manifest.digest} does not name its layers") from problem
