"""The steps that talk to a registry: pull an image, publish a package."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pkgtool.actions.site import Site
from pkgtool.cancel import Cancellation
from pkgtool.errors import RegistryError
from pkgtool.events import Note
from pkgtool.executor import Outcome, StepResult
from pkgtool.fingerprint import Fingerprint
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.once import Once
from pkgtool.oci.registry import publish as publishing
from pkgtool.oci.registry.publish import Publication, Published, PublishedIndex
from pkgtool.oci.registry.repository import Registry, RegistryRepository
from pkgtool.oci.registry.transfer import CopyOptions, copy
from pkgtool.oci.repository import Repository
from pkgtool.oci.store import MemoRecord
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.plan.planner import build_key
from pkgtool.plan.steps import Step
from pkgtool.values import Digest, Platform

if TYPE_CHECKING:
    from pkgtool.signing.verify.evidence import Evidence

_OUTCOMES = {
    publishing.Outcome.UNCHANGED: Outcome.UNCHANGED,
    publishing.Outcome.REPLACED: Outcome.REPLACED,
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A manifest that the tree's policy accepts, and the claims about it and its index that it was accepted for."""

    manifest: Descriptor
    claims: tuple[Evidence, ...] = ()


Guard = Callable[[Repository, Fingerprint, Platform], Accepted | None]
"""Verifies what is published under a package's tag for a platform before it is used: the manifest that it accepted.

None if there is nothing. Raises `VerificationError` for what must not be used.
"""


class PullAction:
    """Takes an image that is published under the tag into the store, and remembers it as the tag's result."""

    def __init__(self, site: Site, registry: Registry, guard: Guard | None = None) -> None:
        self._site = site
        self._registry = registry
        self._guard = guard
        self._indexes: Once[tuple[str, str], PublishedIndex] = Once()

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        assert step.platform is not None
        started = time.monotonic()
        fingerprint = self._site.fingerprints[step.package]
        source = self._registry.repository(fingerprint.reference.repository)
        target = StoreRepository(self._site.store.layout, str(fingerprint.reference.name))
        accepted = self._published(source, fingerprint, step.platform)
        found = accepted.manifest
        options = CopyOptions(step=step.id, sink=self._site.events)
        copied = copy(source, target, found.digest, options=options)
        cancel.check()
        descriptor = replace(found, platform=step.platform)
        manifest = self._site.store.layout.manifest(descriptor)
        _check_platform(self._site, manifest.config, step.platform, source.name)
        seconds = time.monotonic() - started
        record = MemoRecord(descriptor, manifest.blobs, f"pulled from {source.name}", seconds)
        if accepted.claims:
            # Only who has a policy needs to read statements.
            from pkgtool.actions import pulled_statements

            pulled_statements.keep(self._site.store, self._site.package(step.package).repository, accepted.claims)
        self._site.store.remember(step.key, record)
        return StepResult(Outcome.PULLED, record, seconds, sent=copied.sent)

    def _published(self, source: Repository, fingerprint: Fingerprint, platform: Platform) -> Accepted:
        """The manifest to take, and what is known of it."""
        if self._guard:
            accepted = self._guard(source, fingerprint, platform)
        else:
            accepted = self._unverified(source, fingerprint, platform)
        if accepted is None:
            raise RegistryError(
                f"{source.name} has no {fingerprint.reference.tag} for {platform} any more",
                hint="run it again to build it",
            )
        return accepted

    def _unverified(self, source: Repository, fingerprint: Fingerprint, platform: Platform) -> Accepted | None:
        """What stands under the platform's own tag; the index, once there is one, must say the same."""
        found = source.resolve(fingerprint.platform_reference(platform).tag)
        if found is None:
            return None
        tag = fingerprint.reference.tag
        # Once for all platforms. That there is none yet is not remembered: another job may be about to make it.
        index = self._indexes.get(
            (source.name, tag),
            lambda: publishing.read_index(source, tag),
            keep=lambda found: found.descriptor is not None,
        )
        told = index.images.get(platform)
        if told and told.digest != found.digest:
            raise RegistryError(
                f"{source.name} has two images under {tag} for {platform}: somebody moved a tag",
                details=(f"{tag}: {told.digest}", f"{tag}-{platform.suffix}: {found.digest}"),
                hint="find out which one was published; --no-pull builds it instead",
            )
        return Accepted(found)


def _check_platform(site: Site, config: Descriptor, platform: Platform, where: str) -> None:
    """A tag names a platform; what it leads to must be for that one."""
    said = json.loads(site.store.layout.read(config))
    found = (said.get("os"), said.get("architecture"))
    if found != (platform.os, platform.arch):
        raise RegistryError(
            f"{where} has an image for {'/'.join(map(str, found))} in the place of the one for {platform}"
        )


class PushAction:
    """Publishes a package: blobs, platform manifests, index, tags last; without `index` the platforms' tags alone."""

    def __init__(
        self,
        site: Site,
        registry: Registry,
        platforms: tuple[Platform, ...],
        replaceable: frozenset[str],
        *,
        index: bool = True,
    ) -> None:
        self._site = site
        self._registry = registry
        self._platforms = platforms
        self._replaceable = replaceable
        self._publish = publishing.publish if index else publishing.publish_images

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        started = time.monotonic()
        package, fingerprint = self._site.package(step.package), self._site.fingerprints[step.package]
        platforms = [platform for platform in package.platforms if platform in self._platforms]
        keys = {build_key(fingerprint, package, platform): platform for platform in platforms}
        records = self._site.store.remembered(keys)
        source = StoreRepository(self._site.store.layout, str(fingerprint.reference.name))
        published = self._publish(
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
        for platform, before in sorted(published.replaced.items()):
            self._say_replaced(step, platform, before.digest, published.images[platform].digest)
        return StepResult(
            _OUTCOMES.get(published.outcome, Outcome.PUSHED),
            _as_record(published),
            time.monotonic() - started,
            sent=published.sent,
        )

    def _say_replaced(self, step: Step, platform: Platform, before: Digest, now: Digest) -> None:
        what = f"{self.target(step.package).name}:{step.reference.tag if step.reference else ''} {platform}"
        self._site.events(Note("warning", f"replaced what was published as {what}: was {before}, is {now}"))

    def target(self, name: str) -> RegistryRepository:
        """The repository of a package."""
        return self._registry.repository(self._site.fingerprints[name].reference.repository)

    def _siblings(self, name: str) -> tuple[str, ...]:
        """Repositories that have layers of this package: those of the packages that it stands on."""
        return tuple(
            self._site.fingerprints[d.name].reference.repository for d in self._site.package(name).dependencies
        )


def _as_record(published: Published) -> MemoRecord:
    """What was published: the index, or without one the first image; and all images, each with its platform."""
    images = [replace(image, platform=platform) for platform, image in sorted(published.images.items())]
    return MemoRecord(published.index or images[0], tuple(images), "pkgtool", 0.0)
