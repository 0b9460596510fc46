"""The sign step: signatures on the index and every platform's manifest, and the signed statements about them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pkgtool import __version__
from pkgtool.actions.site import Site
from pkgtool.actions.statements import make_inventory, source_of
from pkgtool.cancel import Cancellation
from pkgtool.errors import SigningError
from pkgtool.events import Note, StepProgress
from pkgtool.executor import Outcome, StepResult
from pkgtool.fingerprint import Fingerprint
from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.oci.registry.publish import PublishedIndex, read_index
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.repository import Repository
from pkgtool.oci.store import MemoRecord, Store
from pkgtool.oci.store.statements import INVENTORY, PROVENANCE
from pkgtool.plan.steps import Step
from pkgtool.sbom import cache, cyclonedx, spdx
from pkgtool.sbom.model import Inventory
from pkgtool.sbom.model import Subject as SbomSubject
from pkgtool.signing import publish
from pkgtool.signing.attestor import Attestor
from pkgtool.signing.statements.facts import BuildFacts, builder_from_environment
from pkgtool.signing.statements.provenance import essence_of_index, index_provenance
from pkgtool.signing.statements.statement import CYCLONEDX, SPDX, Statement, Subject
from pkgtool.signing.statements.statement import PROVENANCE as PROVENANCE_TYPE
from pkgtool.values import Digest, Platform


class SignAction:
    """Signs what is published of a package. Signing again adds nothing."""

    def __init__(
        self,
        site: Site,
        registry: Registry,
        attestor: Attestor,
        annotations: Mapping[str, str],
        *,
        alone: tuple[Platform, ...] = (),
    ) -> None:
        """With `alone`, only the images of these platforms are signed: their index does not exist yet."""
        self._site = site
        self._registry = registry
        self._attestor = attestor
        self._annotations = annotations
        self._alone = alone

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        started = time.monotonic()
        fingerprint = self._site.fingerprints[step.package]
        repository = self._registry.repository(fingerprint.reference.repository)
        found = self._published(repository, fingerprint)
        subjects = [*([found.descriptor] if found.descriptor else []), *found.images.values()]
        if not subjects:
            raise SigningError(f"{repository.name} has no {fingerprint.reference.tag} to sign", hint="pkgtool push")
        statements = list(self._statements(step.package, found.descriptor, found.images))
        total = len(subjects) + len(statements)
        new = 0
        for number, subject in enumerate(subjects):
            cancel.check()
            new += _count(publish.sign(repository, subject, self._attestor, annotations=self._annotations))
            self._site.events(StepProgress(step.id, number + 1, total, "signatures"))
        for number, (subject, statement) in enumerate(statements):
            cancel.check()
            said = essence_of_index if statement.predicate_type == PROVENANCE_TYPE and subject.is_index else dict
            new += _count(publish.attest(repository, subject, statement, self._attestor, said=said))
            self._site.events(StepProgress(step.id, len(subjects) + number + 1, total, "signatures"))
        record = MemoRecord(subjects[0], tuple(found.images.values()), self._attestor.name, 0.0)
        outcome = Outcome.SIGNED if new else Outcome.UNCHANGED
        return StepResult(outcome, record, time.monotonic() - started)

    def _published(self, repository: Repository, fingerprint: Fingerprint) -> PublishedIndex:
        """What is to be signed: the index with its images, or the images alone."""
        if not self._alone:
            return read_index(repository, fingerprint.reference.tag)
        images = {
            platform: replace(image, platform=platform)
            for platform in self._alone
            if (image := repository.resolve(fingerprint.platform_reference(platform).tag))
        }
        return PublishedIndex(None, images)

    def _statements(
        self, name: str, index: Descriptor | None, images: Mapping[Platform, Descriptor]
    ) -> Iterator[tuple[Descriptor, Statement]]:
        """What is said about each platform's image, and about the index."""
        inventories = []
        for platform, image in sorted(images.items()):
            inventory = inventory_of(self._site.store, image, platform)
            if inventory is None:
                # Pushed from elsewhere: whoever built it has what belongs to it, and attaches it.
                self._site.events(
                    Note("info", f"{name} for {platform} is not in this store: only its signature is made")
                )
                continue
            inventories.append(inventory)
            provenance = self._site.store.statements.read(image.digest, PROVENANCE)
            if provenance:
                yield image, Statement.parse(provenance, what=f"the provenance of {name} {platform}")
            yield from self._sboms(name, image, [inventory])
        if index and len(inventories) == len(images):
            yield index, self._index_provenance(name, index, images)
            yield from self._sboms(name, index, inventories)

    def _sboms(
        self, name: str, subject: Descriptor, inventories: list[Inventory]
    ) -> Iterator[tuple[Descriptor, Statement]]:
        described = self._described(name, subject, inventories)
        about = (Subject.of(subject.digest, self._site.package(name).repository),)
        yield subject, Statement(about, SPDX, spdx.document(described))
        yield subject, Statement(about, CYCLONEDX, cyclonedx.document(described))

    def _described(self, name: str, subject: Descriptor, inventories: list[Inventory]) -> SbomSubject:
        package = self._site.package(name)
        return sbom_subject(
            package.repository,
            self._site.fingerprints[name].reference.tag,
            subject,
            inventories,
            epoch=created(self._site.store, inventories[0].manifest),
            source=package.source_url,
        )

    def _index_provenance(self, name: str, index: Descriptor, images: Mapping[Platform, Descriptor]) -> Statement:
        package, fingerprint = self._site.package(name), self._site.fingerprints[name]
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
    """The time that an image of the store bears, in seconds since 1970."""
    content = store.layout.blob_path(manifest).read_bytes()
    config = Manifest.parse(content, what=str(manifest)).config
    moment = json.loads(store.layout.read(config))["created"]
    return int(datetime.fromisoformat(moment).timestamp())


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


def _count(published: list[publish.Published]) -> int:
    return sum(each.new for each in published)
