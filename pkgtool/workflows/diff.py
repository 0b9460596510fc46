"""Compare two images: files, sizes, packages with their versions, configuration."""

from __future__ import annotations

from dataclasses import dataclass

from pkgtool.actions.attestations import inventory_of
from pkgtool.cancel import Cancellation
from pkgtool.errors import UsageError
from pkgtool.events import Sink
from pkgtool.oci.compare import ImageDifference, compare, unpacked_size
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store import Store
from pkgtool.sbom.changes import ComponentChange, component_changes
from pkgtool.values import Platform
from pkgtool.workflows.named_images import Finder, NamedImage
from pkgtool.workflows.options import RunOptions


@dataclass(frozen=True, slots=True)
class Side:
    """One image of a comparison. Sizes in bytes: of the compressed layers, and of the files."""

    image: Descriptor
    compressed: int
    unpacked: int


@dataclass(frozen=True, slots=True)
class PlatformDifference:
    """Both images of one platform, and in what they differ."""

    platform: Platform
    before: Side
    after: Side
    contents: ImageDifference
    components: tuple[ComponentChange, ...]

    @property
    def same(self) -> bool:
        return self.before.image.digest == self.after.image.digest


@dataclass(frozen=True, slots=True)
class DiffReport:
    """The comparison of two names. `only_before` and `only_after` are platforms that the other one does not have."""

    before: str
    after: str
    platforms: tuple[PlatformDifference, ...]
    only_before: tuple[Platform, ...] = ()
    only_after: tuple[Platform, ...] = ()

    @property
    def same(self) -> bool:
        return not self.only_before and not self.only_after and all(each.same for each in self.platforms)


def diff(options: RunOptions, before: str, after: str, *, events: Sink, cancel: Cancellation) -> DiffReport:
    """Compare what two names mean (see `Finder.find`), on the chosen platforms or on all that both have.

    Raises `UsageError` if they have no platform in common, or not the chosen one.
    """
    with Finder(options, events=events, cancel=cancel) as finder:
        old, new = finder.find(before), finder.find(after)
        platforms = _platforms(options, old, new)
        compared = []
        for platform in platforms:
            cancel.check()
            compared.append(_compare(finder.store, platform, old.images[platform], new.images[platform]))
    chosen = options.platforms
    return DiffReport(
        old.reference,
        new.reference,
        tuple(compared),
        () if chosen else tuple(sorted(old.images.keys() - new.images.keys())),
        () if chosen else tuple(sorted(new.images.keys() - old.images.keys())),
    )


def _platforms(options: RunOptions, old: NamedImage, new: NamedImage) -> list[Platform]:
    for side in (old, new):
        for platform in options.platforms:
            if platform not in side.images:
                raise UsageError(f"{side.reference} has no {platform}, only {_listed(side)}")
    found = sorted(options.platforms or old.images.keys() & new.images.keys())
    if not found:
        raise UsageError(
            f"{old.reference} and {new.reference} have no platform in common",
            details=(f"{side.reference}: {_listed(side)}" for side in (old, new)),
        )
    return found


def _listed(side: NamedImage) -> str:
    return ", ".join(map(str, sorted(side.images))) or "nothing"


def _compare(store: Store, platform: Platform, before: Descriptor, after: Descriptor) -> PlatformDifference:
    old, new = inventory_of(store, before, platform), inventory_of(store, after, platform)
    assert old is not None
    assert new is not None
    return PlatformDifference(
        platform,
        _side(store, before),
        _side(store, after),
        compare(store.layout, before, store.layout, after),
        component_changes(old, new),
    )


def _side(store: Store, image: Descriptor) -> Side:
    layers = store.layout.manifest(image).layers
    return Side(image, sum(layer.size for layer in layers), unpacked_size(store.layout, image))
