"""Rebuild what is published, and say so, signed, only if every byte is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pkgtool import __version__
from pkgtool.cancel import Cancellation
from pkgtool.errors import RegistryError
from pkgtool.events import Note, Sink
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.registry.publish import read_index
from pkgtool.oci.registry.repository import RegistryRepository
from pkgtool.oci.registry.transfer import copy
from pkgtool.oci.store import MemoRecord, Store
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.plan import Step
from pkgtool.signing import publish
from pkgtool.signing.attestor import Attestor
from pkgtool.signing.statements.claims import Rebuild
from pkgtool.signing.statements.claims import rebuild as rebuild_statement
from pkgtool.signing.statements.facts import builder_from_environment
from pkgtool.signing.statements.statement import PROVENANCE
from pkgtool.signing.verify.collect import bundles
from pkgtool.values import Digest, Platform
from pkgtool.workflows.attestors import SigningOptions, open_attestor
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, Planned, make_plan
from pkgtool.workflows.rebuild import Comparison, compared, elsewhere, rebuild, rebuilt_steps
from pkgtool.workflows.registries import open_registry, require_registry


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What was compared, and the packages about which a statement was attached."""

    comparisons: tuple[Comparison, ...]
    attested: tuple[str, ...]
    failed: BuildReport | None = None


def attest_rebuild(
    options: RunOptions,
    signing: SigningOptions,
    packages: Sequence[str],
    *,
    rebuilder: str = "",
    events: Sink,
    cancel: Cancellation,
) -> RebuildReport:
    """Rebuild packages for the chosen platforms and compare with what is published under their tags.

    For each package whose every image came out the same, a signed statement is attached to each of these images, and
    to the index if that holds no others; for one that did not, none, and the comparison says what differs.
    Raises `RegistryError` for what is not published.
    """
    planned = make_plan(options, packages)
    tree = planned.tree
    name = require_registry(options, tree.workspace, [tree.fingerprints[n] for n in tree.names])
    with (
        closing(open_attestor(signing, tree.workspace)) as attestor,
        planned.store.in_use(cancel=cancel),
        open_registry(name, tree.workspace, planned.store, events=events, cancel=cancel) as registry,
    ):
        published = {
            package: _published(registry.repository(tree.fingerprints[package].reference.repository), planned, package)
            for package in tree.names
        }
        with elsewhere(options, planned.store, tree.names) as store:
            started = datetime.now(UTC)
            built = rebuild(replace(options, pull=False), tree.names, (), store, events=events, cancel=cancel)
            if not built.results.good:
                return RebuildReport((), (), built)
            comparisons = tuple(
                _compare(planned.store, built, step, published) for step in rebuilt_steps(built, tree.names)
            )
        attested = []
        for package in tree.names:
            own = [comparison for comparison in comparisons if comparison.package == package]
            if own and all(comparison.same for comparison in own):
                facts = _facts(planned, package, own, rebuilder, attestor, started)
                _attest(published[package], facts, attestor)
                attested.append(package)
                events(Note("info", f"{package}: the same bytes, attested by {attestor.name}"))
    return RebuildReport(comparisons, tuple(attested))


def _attest(published: _Published, facts: Rebuild, attestor: Attestor) -> None:
    """Say it about every image that was rebuilt, and about an index of which nothing was left out."""
    whole = set(published.images) == set(facts.platforms)
    subjects = [
        *(image for platform, image in sorted(published.images.items()) if platform in facts.platforms),
        *([published.index] if whole else []),
    ]
    for subject in subjects:
        followed = [
            each.source for each in bundles(published.repository, subject.digest, predicate_types=(PROVENANCE,))
        ]
        statement = rebuild_statement(replace(facts, provenance=tuple(followed)), subject.digest)
        publish.attest(published.repository, subject, statement, attestor)


@dataclass(frozen=True, slots=True)
class _Published:
    repository: RegistryRepository
    index: Descriptor
    images: Mapping[Platform, Descriptor]


def _published(repository: RegistryRepository, planned: Planned, package: str) -> _Published:
    tag = planned.tree.fingerprints[package].reference.tag
    found = read_index(repository, tag)
    if found.descriptor is None:
        raise RegistryError(f"{repository.name}:{tag} is not published", hint=f"pkgtool push {package}")
    for platform in planned.target.platforms:
        if platform in found.images:
            # What is compared with must be here, to say in what it differs.
            copy(repository, StoreRepository(planned.store.layout, repository.path), found.images[platform].digest)
    return _Published(repository, found.descriptor, found.images)


def _compare(store: Store, built: BuildReport, step: Step, published: Mapping[str, _Published]) -> Comparison:
    assert step.platform is not None
    there = published[step.package].images.get(step.platform)
    if there is None:
        raise RegistryError(
            f"{step.title} is not published", hint=f"pkgtool push --platform {step.platform} {step.package}"
        )
    before = MemoRecord(there, store.layout.manifest(there).blobs, "published", 0.0)
    return compared(before, store, built, step)


def _facts(
    planned: Planned,
    package: str,
    comparisons: Sequence[Comparison],
    rebuilder: str,
    attestor: Attestor,
    started: datetime,
) -> Rebuild:
    import os

    engine, _, version = comparisons[0].rebuilt.made_by.partition(" ")
    platforms: dict[Platform, Digest] = {c.platform: c.rebuilt.manifest.digest for c in comparisons}
    return Rebuild(
        package=planned.tree.package(package).repository,
        tag=planned.tree.fingerprints[package].reference.tag,
        platforms=platforms,
        rebuilder=rebuilder or f"{builder_from_environment(os.environ).id}#{attestor.name.replace(' ', '-')}",
        pkgtool_version=__version__,
        engine=engine,
        engine_version=version,
        started=started,
        finished=datetime.now(UTC),
    )
