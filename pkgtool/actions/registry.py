"""The steps that talk to a registry: pull an image, publish a package."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from pkgtool.actions.site import Site
from pkgtool.cancel import Cancellation
from pkgtool.errors import RegistryError
from pkgtool.executor import Outcome, StepResult
from pkgtool.fingerprint import Fingerprint
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.registry import publish as publishing
from pkgtool.oci.registry.publish import Publication, read_index
from pkgtool.oci.registry.repository import Registry, RegistryRepository
from pkgtool.oci.registry.transfer import CopyOptions, copy
from pkgtool.oci.repository import Repository
from pkgtool.oci.store import MemoRecord
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.plan.planner import build_key
from pkgtool.plan.steps import Step
from pkgtool.values import Digest, Platform

Guard = Callable[[Repository, str], Digest]
"""Verifies what is published under a tag before it is used, and gives the digest of what it accepted.

Raises `VerificationError` for what must not be used.
"""


class PullAction:
    """Takes an image that is published under the tag into the store, and remembers it as the tag's result."""

    def __init__(self, site: Site, registry: Registry, guard: Guard | None = None) -> None:
        self._site = site
        self._registry = registry
        self._guard = guard

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        assert step.platform is not None
        started = time.monotonic()
        fingerprint = self._site.fingerprints[step.package]
        source = self._registry.repository(fingerprint.reference.repository)
        target = StoreRepository(self._site.store.layout, str(fingerprint.reference.name))
        found = self._published(source, fingerprint, step.platform)
        options = CopyOptions(step=step.id, sink=self._site.events)
        copied = copy(source, target, found.digest, options=options)
        cancel.check()
        descriptor = replace(found, platform=step.platform)
        manifest = self._site.store.layout.manifest(descriptor)
        seconds = time.monotonic() - started
        record = MemoRecord(descriptor, manifest.blobs, f"pulled from {source.name}", seconds)
        self._site.store.remember(step.key, record)
        return StepResult(Outcome.PULLED, record, seconds, sent=copied.sent)

    def _published(self, source: Repository, fingerprint: Fingerprint, platform: Platform) -> Descriptor:
        """The manifest to take. After verification only what is inside the verified index will do."""
        if self._guard:
            index = read_index(source, self._guard(source, fingerprint.reference.tag))
            found = index.images.get(platform)
        else:
            found = source.resolve(fingerprint.platform_reference(platform).tag)
        if found is None:
            raise RegistryError(
                f"{source.name} has no {fingerprint.reference.tag} for {platform} any more",
                hint="run it again to build it",
            )
        return found


class PushAction:
    """Publishes a package: blobs, platform manifests, index, tags last."""

    def __init__(
        self, site: Site, registry: Registry, platforms: tuple[Platform, ...], replaceable: frozenset[str]
    ) -> None:
        self._site = site
        self._registry = registry
        self._platforms = platforms
        self._replaceable = replaceable

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        started = time.monotonic()
        package, fingerprint = self._site.package(step.package), self._site.fingerprints[step.package]
        platforms = [platform for platform in package.platforms if platform in self._platforms]
        keys = {build_key(fingerprint, package, platform): platform for platform in platforms}
        records = self._site.store.remembered(keys)
        source = StoreRepository(self._site.store.layout, str(fingerprint.reference.name))
        published = publishing.publish(
            source,
            self.target(step.package),
            Publication(
                tag=fingerprint.reference.tag,
                images={keys[key]: record.manifest for key, record in records.items()},
                platforms=package.platforms,
                replace=fingerprint.reference.tag in self._replaceable,
                state=self._site.store.private,
                options=CopyOptions(mount_from=self._siblings(step.package), step=step.id, sink=self._site.events),
            ),
            cancel=cancel,
        )
        unchanged = published.outcome is publishing.Outcome.UNCHANGED
        return StepResult(
            Outcome.UNCHANGED if unchanged else Outcome.PUSHED,
            MemoRecord(published.index, tuple(published.images.values()), "pkgtool", 0.0),
            time.monotonic() - started,
            sent=published.sent,
        )

    def target(self, name: str) -> RegistryRepository:
        """The repository of a package."""
        return self._registry.repository(self._site.fingerprints[name].reference.repository)

    def _siblings(self, name: str) -> tuple[str, ...]:
        """Repositories that have layers of this package: those of the packages that it stands on."""
        return tuple(
            self._site.fingerprints[d.name].reference.repository for d in self._site.package(name).dependencies
        )
