"""The assemble step: a package's index over all platforms built so far, and its references in the store."""

from __future__ import annotations

from pkgtool.actions.site import Site
from pkgtool.cancel import Cancellation
from pkgtool.executor import Outcome, StepResult
from pkgtool.oci.documents import INDEX, Descriptor, Index
from pkgtool.oci.store import MemoRecord
from pkgtool.plan.planner import build_key, remembered_manifests
from pkgtool.plan.steps import Step


class AssembleAction:
    """Writes the index and points `TAG` and every `TAG-ARCH` at what they mean."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        package, fingerprint = self._site.package(step.package), self._site.fingerprints[step.package]
        store = self._site.store
        with store.lock(f"assemble-{fingerprint.digest.hex}", cancel=cancel):
            keys = [build_key(fingerprint, package, platform) for platform in package.platforms]
            manifests = remembered_manifests(package, fingerprint, store.remembered(keys))
            index = store.layout.write(Index.of_platforms(list(manifests.values())).encode(), INDEX)
            changes: dict[str, Descriptor | None] = {str(fingerprint.reference): index}
            for platform, manifest in manifests.items():
                changes[str(fingerprint.platform_reference(platform))] = manifest
            store.layout.update_references(changes)
        return StepResult(Outcome.DONE, MemoRecord(index, tuple(manifests.values()), "pkgtool", 0.0))
