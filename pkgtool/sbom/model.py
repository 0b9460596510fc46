"""What an image is made of. Frozen data; both formats are written from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pkgtool.values import Digest, Platform


class Kind(StrEnum):
    """What a component is."""

    DEBIAN = "debian"
    DEBIAN_SOURCE = "debian-source"
    """A source package whose code was compiled into a program, as dpkg's Built-Using says."""
    GO_MODULE = "go-module"
    KERNEL = "kernel"
    FIRMWARE = "firmware"


@dataclass(frozen=True, slots=True)
class Component:
    """One piece of software. `purl` tells it apart from all others (github.com/package-url/purl-spec)."""

    kind: Kind
    name: str
    version: str
    purl: str
    supplier: str = ""
    """Who maintains it: `Name <address>`."""
    source: str = ""
    """Name and version of the source package it was built from."""
    download: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of the thing as it was distributed: algorithm (`sha256`) → hexadecimal."""
    properties: Mapping[str, str] = field(default_factory=dict)
    locations: tuple[str, ...] = ()
    """Paths in the image that show it, where there is no package database."""
    depends: tuple[str, ...] = ()
    """purls of other components of the same image."""
    generated_from: tuple[str, ...] = ()
    """purls of components whose code is in this one."""


def merged(components: Iterable[Component]) -> list[Component]:
    """Each purl once, in order: what several programs hold, or several platforms, has several places."""
    found: dict[str, Component] = {}
    for each in components:
        known = found.setdefault(each.purl, each)
        if known is not each:
            found[each.purl] = replace(
                known,
                locations=tuple(sorted({*known.locations, *each.locations})),
                depends=tuple(sorted({*known.depends, *each.depends})),
                generated_from=tuple(sorted({*known.generated_from, *each.generated_from})),
            )
    return [found[name] for name in sorted(found)]


@dataclass(frozen=True, slots=True)
class Inventory:
    """All components of one platform's image, in the order of their purls."""

    platform: Platform
    manifest: Digest
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a document is about: a package's image for one platform, or its index with several."""

    name: str
    """`linuxkit/getty`."""
    version: str
    """The tag."""
    digest: Digest
    inventories: tuple[Inventory, ...]
    created: int
    """Seconds since 1970; SOURCE_DATE_EPOCH, so that the document is the same every time."""
    tool_version: str = ""
    source: str = ""
    """The repository's URL."""

    @property
    def components(self) -> list[Component]:
        """Those of all platforms."""
        return merged(each for inventory in self.inventories for each in inventory.components)

    @property
    def purl(self) -> str:
        from pkgtool.sbom.purl import oci

        return oci(self.name, self.digest, self.version)
