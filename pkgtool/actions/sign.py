"""The sign step: signatures on the index and every platform's manifest, and the signed statements about them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import replace

from pkgtool.actions.attestations import Attestations
from pkgtool.actions.site import Site
from pkgtool.cancel import Cancellation
from pkgtool.errors import SigningError
from pkgtool.events import StepProgress
from pkgtool.executor import Outcome, StepResult
from pkgtool.fingerprint import Fingerprint
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.read_once import ReadOnce
from pkgtool.oci.registry.publish import PublishedIndex, read_index
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.transfer import in_parallel
from pkgtool.oci.repository import Repository
from pkgtool.oci.store import MemoRecord
from pkgtool.plan.steps import Step
from pkgtool.signing import publish
from pkgtool.signing.attestor import Attestor
from pkgtool.values import Platform


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
        # Every statement asks what lies beside its image: that is read once in this step.
        repository = ReadOnce(self._registry.repository(fingerprint.reference.repository))
        found = self._published(repository, fingerprint)
        listed = [*([found.descriptor] if found.descriptor else []), *found.images.values()]
        subjects = list({each.digest: each for each in listed}.values())
        if not subjects:
            raise SigningError(f"{repository.name} has no {fingerprint.reference.tag} to sign", hint="pkgtool push")
        attestations = Attestations(self._site, repository, step.package, self._attestor)
        statements = list(attestations.about(found.descriptor, found.images))
        done = itertools.count(1)
        total = len(subjects) + len(statements)

        def publish_about(subject: Descriptor) -> int:
            """One after the other: all statements about a subject share a tag in the older format."""
            cancel.check()
            new = _count(publish.sign(repository, subject, self._attestor, annotations=self._annotations))
            self._site.events(StepProgress(step.id, next(done), total, "signatures"))
            for each in statements:
                if each.subject.digest == subject.digest:
                    cancel.check()
                    new += _count(publish.attest(repository, subject, each.statement, self._attestor, said=each.said))
                    self._site.events(StepProgress(step.id, next(done), total, "signatures"))
            return new

        new = sum(in_parallel(publish_about, subjects, self._registry.settings.parallel))
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


def _count(published: list[publish.Published]) -> int:
    return sum(each.new for each in published)
