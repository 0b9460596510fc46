"""Show what is known of images in the store: their SBOMs and provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pkgtool.actions import pulled_statements
from pkgtool.actions.attestations import created, inventory_of, sbom_subject
from pkgtool.errors import StoreError, UsageError
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store.statements import PROVENANCE
from pkgtool.plan.planner import remembered_manifests
from pkgtool.sbom import cyclonedx, spdx
from pkgtool.sbom.model import Inventory
from pkgtool.signing.statements.statement import CYCLONEDX, SPDX, Statement
from pkgtool.signing.statements.statement import PROVENANCE as PROVENANCE_TYPE
from pkgtool.values import Platform
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import Planned, make_plan
from pkgtool.workflows.tree import target_platforms

WRITERS = {"spdx": spdx.document, "cyclonedx": cyclonedx.document}
_TYPES = {"spdx": SPDX, "cyclonedx": CYCLONEDX}


@dataclass(frozen=True, slots=True)
class Described:
    """A document about one package's image for one platform."""

    package: str
    platform: Platform
    document: Mapping[str, Any]


def sboms(options: RunOptions, packages: Sequence[str], *, form: str) -> list[Described]:
    """The SBOM of each built image, in the form `spdx` or `cyclonedx`. Raises `StoreError` for what is not built,
    `UsageError` if nothing is made for the platforms that were asked for.

    Of an image that was taken from a registry by a policy, the one that its builder published.
    """
    planned = _plan(options, packages)
    found = []
    for name, platform, image in _images(planned, options):
        if published := _taken(planned, image, _TYPES[form]):
            found.append(Described(name, platform, published.predicate))
            continue
        inventory = inventory_of(planned.store, image, platform)
        assert inventory is not None
        found.append(Described(name, platform, WRITERS[form](_subject(planned, name, image, inventory))))
    return found


def provenances(options: RunOptions, packages: Sequence[str]) -> list[Described]:
    """The provenance statement of each built image, or the one that it was taken with from a registry by a policy.

    Raises `StoreError` for what was neither built here nor verified.
    """
    planned = _plan(options, packages)
    found = []
    for name, platform, image in _images(planned, options):
        content = planned.store.statements.read(image.digest, PROVENANCE)
        if content is None and (published := _taken(planned, image, PROVENANCE_TYPE)):
            content = published.encode()
        if content is None:
            raise StoreError(
                f"the store does not know how {name} for {platform} was made: it was pulled, and no policy verified it",
                hint="its provenance is attached to it in the registry: pkgtool verify",
            )
        found.append(Described(name, platform, json.loads(content)))
    return found


def _taken(planned: Planned, image: Descriptor, predicate_type: str) -> Statement | None:
    """What others said about an image that was not built here, as far as the tree's policy accepted it."""
    if planned.store.statements.read(image.digest, PROVENANCE):
        return None
    statements = pulled_statements.read(planned.store, image.digest)
    return next((each for each in statements if each.predicate_type == predicate_type), None)


def _plan(options: RunOptions, packages: Sequence[str]) -> Planned:
    return make_plan(options, packages)


def _images(planned: Planned, options: RunOptions) -> list[tuple[str, Platform, Descriptor]]:
    tree = planned.tree
    wanted = target_platforms(options, tree.workspace)
    found = []
    for name in tree.names:
        package = tree.package(name)
        built = remembered_manifests(package, tree.fingerprints[name], planned.snapshot.remembered)
        for platform in (p for p in package.platforms if p in wanted):
            if platform not in built:
                raise StoreError(
                    f"{name} is not built for {platform}", hint=f"pkgtool build --platform {platform} {name}"
                )
            found.append((name, platform, built[platform]))
    if not found:
        asked = ", ".join(map(str, wanted))
        raise UsageError(f"none of these packages is made for {asked}", hint="'pkgtool list' says for which they are")
    return found


def _subject(planned: Planned, name: str, image: Descriptor, inventory: Inventory) -> Any:
    package = planned.tree.package(name)
    return sbom_subject(
        package.repository,
        planned.tree.fingerprints[name].reference.tag,
        image,
        [inventory],
        epoch=created(planned.store, image.digest),
        source=package.source_url,
    )
