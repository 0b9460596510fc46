"""What is to be said about published images: statements about each platform's, and about the index.

Of an image that was built here: its provenance, and the SBOMs that follow from what is known of it. Of one that was
taken from a registry: what others said, if the tree's policy has accepted it, unchanged. Of any other one only what can
be seen by looking at it, and only where nobody else has said anything of the kind: a second, poorer SBOM would help no
one. An index counts as built here if all in it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pkgtool import __version__
from pkgtool.actions import pulled_statements
from pkgtool.actions.site import Site
from pkgtool.actions.statements import make_inventory, source_of
from pkgtool.errors import StoreError
from pkgtool.events import Note
from pkgtool.oci import documents
from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.oci.repository import Repository
from pkgtool.oci.store import Store
from pkgtool.oci.store.statements import INVENTORY, PROVENANCE
from pkgtool.sbom import cache, cyclonedx, spdx
from pkgtool.sbom.model import Inventory
from pkgtool.sbom.model import Subject as SbomSubject
from pkgtool.signing.attached import only_by_others
from pkgtool.signing.attestor import Attestor
from pkgtool.signing.statements.facts import BuildFacts, builder_from_environment
from pkgtool.signing.statements.provenance import essence_of_index, index_provenance
from pkgtool.signing.statements.statement import CYCLONEDX, SPDX, Statement, Subject
from pkgtool.values import Digest, Platform


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement to be attached. The same signer has said it already if a statement of its type gives the same `said`
    there."""

    subject: Descriptor
    statement: Statement
    said: Callable[[Mapping[str, Any]], object] = dict


def _anything(_predicate: Mapping[str, Any]) -> object:
    """For what was not made here: whatever the same signer has said of the kind is enough."""
    return None


class Attestations:
    """What this store and this signer can say about what lies in a repository under a package's tag."""

    def __init__(self, site: Site, repository: Repository, package: str, attestor: Attestor) -> None:
        self._site = site
        self._repository = repository
        self._name = package
        self._attestor = attestor

    def about(self, index: Descriptor | None, images: Mapping[Platform, Descriptor]) -> Iterator[Attestation]:
        """The statements about each platform's image, then those about the index."""
        inventories: list[Inventory] = []
        for platform, image in sorted(images.items()):
            inventory = inventory_of(self._site.store, image, platform)
            if inventory is None:
                # Pushed from elsewhere: whoever built it has what belongs to it, and attaches it.
                self._site.events(
                    Note("info", f"{self._name} for {platform} is not in this store: only its signature is made")
                )
                continue
            inventories.append(inventory)
            yield from self._of_image(image, platform, inventory)
        if index and len(inventories) == len(images):
            yield from self._of_index(index, images, inventories)

    def _of_image(self, image: Descriptor, platform: Platform, inventory: Inventory) -> Iterator[Attestation]:
        provenance = self._site.store.statements.read(image.digest, PROVENANCE)
        if provenance:
            yield Attestation(image, Statement.parse(provenance, what=f"the provenance of {self._name} {platform}"))
            yield from (Attestation(image, each) for each in self._sboms(image, [inventory]))
        else:
            yield from self._of_others(image, self._sboms(image, [inventory]))

    def _of_index(
        self, index: Descriptor, images: Mapping[Platform, Descriptor], inventories: list[Inventory]
    ) -> Iterator[Attestation]:
        provenance = Attestation(index, self._index_provenance(index, images), essence_of_index)
        built = [self._site.store.statements.read(image.digest, PROVENANCE) for image in images.values()]
        if all(built):
            yield provenance
            yield from (Attestation(index, each) for each in self._sboms(index, inventories))
        else:
            yield from self._of_others(index, (provenance.statement, *self._sboms(index, inventories)))

    def _of_others(self, subject: Descriptor, own: Iterable[Statement]) -> Iterator[Attestation]:
        """About what was not made here: what came along with it, else our own where there is none at all."""
        came = {each.predicate_type: each for each in pulled_statements.read(self._site.store, subject.digest)}
        for each in came.values():
            yield Attestation(subject, each, _anything)
        for each in own:
            kind = each.predicate_type
            if kind not in came and not only_by_others(self._repository, subject.digest, kind, self._attestor):
                yield Attestation(subject, each, _anything)

    def _sboms(self, subject: Descriptor, inventories: list[Inventory]) -> Iterator[Statement]:
        described = self._described(subject, inventories)
        about = (Subject.of(subject.digest, self._site.package(self._name).repository),)
        yield Statement(about, SPDX, spdx.document(described))
        yield Statement(about, CYCLONEDX, cyclonedx.document(described))

    def _described(self, subject: Descriptor, inventories: list[Inventory]) -> SbomSubject:
        package = self._site.package(self._name)
        return sbom_subject(
            package.repository,
            self._site.fingerprints[self._name].reference.tag,
            subject,
            inventories,
            epoch=created(self._site.store, inventories[0].manifest),
            source=package.source_url,
        )

    def _index_provenance(self, index: Descriptor, images: Mapping[Platform, Descriptor]) -> Statement:
        package, fingerprint = self._site.package(self._name), self._site.fingerprints[self._name]
        facts = BuildFacts(
            package=package.repository,
            tag=fingerprint.reference.tag,
            platform=min(images),
            fingerprint=fingerprint.digest,
            source=source_of(package, fingerprint, self._site.sources, self._site.workspace),
            pkgtool_version=__version__,
            engine="pkgtool",
            engine_version=__version__,
            hermetic=not package.network,
            source_date_epoch=package.source_date_epoch,
            builder=builder_from_environment(os.environ),
        )
        return index_provenance(facts, {p: image.digest for p, image in images.items()}, index.digest)


def sbom_subject(
    repository: str, tag: str, subject: Descriptor, inventories: list[Inventory], *, epoch: int, source: str
) -> SbomSubject:
    """What an SBOM of an image or index is about. `epoch` is the time that stands in it (seconds since 1970)."""
    return SbomSubject(repository, tag, subject.digest, tuple(inventories), epoch, __version__, source)


def created(store: Store, manifest: Digest) -> int:
    """The time that an image of the store bears, in seconds since 1970; 0 if it bears none, which OCI allows.

    Images that other tools made come into the store too, by `pull` or `import`. Raises `StoreError` for what is none.
    """
    content = store.layout.blob_path(manifest).read_bytes()
    config = Manifest.parse(content, what=str(manifest)).config
    what = f"the configuration of {manifest}"
    moment = documents.decode(store.layout.read(config), what=what, error=StoreError).get("created")
    if moment is None:
        return 0
    try:
        return int(datetime.fromisoformat(moment).timestamp())
    except (TypeError, ValueError, OverflowError) as problem:
        raise StoreError(f"{what} bears a time that is none: {moment!r}") from problem


def inventory_of(store: Store, image: Descriptor, platform: Platform) -> Inventory | None:
    """What an image is made of: as written down when it was built, else by looking at it; None if it is not here."""
    content = store.statements.read(image.digest, INVENTORY)
    if content is not None and (known := cache.load(content, what=f"the inventory of {image.digest}")):
        return known
    if not store.layout.has(image):
        return None
    inventory = make_inventory(store, image, platform)
    store.statements.write(image.digest, INVENTORY, cache.dump(inventory))
    return inventory
