"""What a build leaves behind besides its image: its provenance, and what the image is made of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pkgtool import __version__
from pkgtool.actions.inputs import InputAccess
from pkgtool.actions.site import Site
from pkgtool.engines.interface import Parent
from pkgtool.fingerprint import Fingerprint
from pkgtool.fingerprint.compute import IMAGE_FORMAT
from pkgtool.inputs.artifact import shown_url
from pkgtool.inputs.debian.places import deb_artifact
from pkgtool.inputs.lock import Deb, DebianLock, Lock
from pkgtool.model import Dependency, Package, Role, Workspace
from pkgtool.oci import files
from pkgtool.oci.canonical.image import layers_of
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store import Store
from pkgtool.oci.store.statements import INVENTORY, PROVENANCE
from pkgtool.sbom import cache, purl
from pkgtool.sbom.deb_file import read_deb
from pkgtool.sbom.files import files_in_store
from pkgtool.sbom.inventory import take_inventory
from pkgtool.sbom.known import KnownPackage
from pkgtool.sbom.model import Inventory
from pkgtool.signing.statements.facts import (
    BuildFacts,
    Material,
    ParentImage,
    Source,
    SourcePart,
    builder_from_environment,
)
from pkgtool.signing.statements.provenance import provenance
from pkgtool.source.entries import DIRECTORY
from pkgtool.source.state import SourceState
from pkgtool.values import Platform


@dataclass(frozen=True, slots=True)
class Run:
    """How a build went: with which engine (name and version), from when to when, and where its log is."""

    made_by: str
    started: datetime
    finished: datetime
    log: Path


class Witness:
    """Writes down what a build was made from and what came out, beside the image in the store."""

    def __init__(self, site: Site, inputs: InputAccess) -> None:
        self._site = site
        self._inputs = inputs

    def record(
        self,
        package: Package,
        platform: Platform,
        parents: Iterable[tuple[Dependency, Parent]],
        manifest: Descriptor,
        run: Run,
    ) -> None:
        """Write the provenance and the inventory of an image that was just built."""
        statements = self._site.store.statements
        facts = self._facts(package, platform, parents, run)
        statements.write(manifest.digest, PROVENANCE, provenance(facts, manifest.digest).encode())
        inventory = make_inventory(self._site.store, manifest, platform, list(self._known(package, platform)))
        statements.write(manifest.digest, INVENTORY, cache.dump(inventory))

    def _facts(
        self, package: Package, platform: Platform, parents: Iterable[tuple[Dependency, Parent]], run: Run
    ) -> BuildFacts:
        fingerprint = self._site.fingerprints[package.name]
        engine, _, version = run.made_by.partition(" ")
        lock = self._inputs.lock(package) if package.inputs else Lock()
        return BuildFacts(
            package=package.repository,
            name=package.name,
            tag=fingerprint.reference.tag,
            platform=platform,
            fingerprint=fingerprint.digest,
            source=source_of(package, fingerprint, self._site.sources, self._site.workspace),
            pkgtool_version=__version__,
            engine=engine,
            engine_version=version,
            hermetic=not package.network,
            source_date_epoch=self._inputs.epoch(package),
            builder=builder_from_environment(os.environ),
            arguments=fingerprint.build_args,
            settings=fingerprint.settings,
            image_format=IMAGE_FORMAT,
            materials=tuple(materials(package, lock, self._site.workspace, platform)),
            parents=tuple(self._parents(parents, platform)),
            started=run.started,
            finished=run.finished,
            log=files.hash_file(run.log),
        )

    def _parents(self, parents: Iterable[tuple[Dependency, Parent]], platform: Platform) -> Iterator[ParentImage]:
        for dependency, parent in parents:
            other = self._site.fingerprints[dependency.name]
            where = self._site.build_platform if dependency.role is Role.TOOL else platform
            yield ParentImage(
                str(other.reference),
                parent.manifest.digest,
                dependency.role.value,
                where,
                dependency.name,
                other.content_hash,
            )

    def _known(self, package: Package, platform: Platform) -> Iterator[KnownPackage]:
        """The .debs that may be in the image: the package's own, those of what it is FROM, then those of its tools."""
        pending, seen = [(package.name, platform)], set()
        while pending:
            name, where = pending.pop(0)
            if (name, where) in seen:
                continue
            seen.add((name, where))
            each = self._site.package(name)
            for dependency in each.dependencies:
                tool = dependency.role is Role.TOOL
                pending.append((dependency.name, self._site.build_platform if tool else where))
            lock = self._inputs.known_lock(each)
            if lock and lock.debian:
                yield from known_packages(self._site.store, each, lock.debian, where, self._site.workspace)


def source_of(package: Package, fingerprint: Fingerprint, sources: SourceState, workspace: Workspace) -> Source:
    """Where a package comes from, as its provenance names it. A signed kernel comes from the unsigned one's files."""
    if package.seal:
        package = workspace.packages[package.seal.unsigned]
    own, *others = ((part, sources.facts(part.path)) for part in package.context)
    return Source(
        package.source_url,
        sources.main.commit,
        own[1].current,
        package.path,
        fingerprint.dirty,
        tuple(
            SourcePart(part.path, part.destination, facts.current, "" if facts.mode == DIRECTORY else facts.mode)
            for part, facts in others
        ),
        tuple(pair for _, facts in (own, *others) for pair in facts.dirty_submodules),
    )


def make_inventory(
    store: Store, manifest: Descriptor, platform: Platform, known: Iterable[KnownPackage] = ()
) -> Inventory:
    """What an image of the store is made of. Raises `StoreError` if it can't be read."""
    layout = store.layout
    config = json.loads(layout.read(layout.manifest(manifest).config))
    return take_inventory(
        files_in_store(layout, layers_of(layout, manifest)),
        platform=platform,
        manifest=manifest.digest,
        known=known,
        labels=(config.get("config") or {}).get("Labels") or {},
    )


def known_packages(
    store: Store, package: Package, lock: DebianLock, platform: Platform, workspace: Workspace
) -> Iterator[KnownPackage]:
    """What the lock knows of .debs for a platform; those that were not fetched here are left out."""
    from pkgtool.inputs.architectures import debian_architecture

    for deb in lock.for_architecture(debian_architecture(platform)):
        path = store.input_path(deb.content.digest)
        if path.exists():
            yield read_deb(path, sha256=deb.content.digest.hex, url=_url(package, deb, lock, workspace))


def materials(package: Package, lock: Lock, workspace: Workspace, platform: Platform) -> Iterator[Material]:
    """Everything from outside that a build took in, with its hash."""
    from pkgtool.inputs.architectures import debian_architecture

    if lock.debian:
        for deb in lock.debian.for_architecture(debian_architecture(platform)):
            name = purl.debian(deb.name, deb.version, deb.arch)
            digests = {"sha256": deb.content.digest.hex}
            yield Material(_url(package, deb, lock.debian, workspace), digests, name)
    for file in lock.files:
        yield Material(shown_url(file.request.url), {"sha256": file.content.digest.hex}, file.request.name)
    for git in lock.git:
        digests = {"gitCommit": git.commit, "sha256": git.content.digest.hex}
        yield Material(f"git+{shown_url(git.request.url)}@{git.commit}", digests, git.request.name)
    for module in lock.go.modules if lock.go else ():
        content = module.zip or module.mod
        kind = "zip" if module.zip else "go.mod"
        yield Material(
            purl.golang(module.module, module.version), {"sha256": content.digest.hex}, annotations={"file": kind}
        )


def _url(package: Package, deb: Deb, lock: DebianLock, workspace: Workspace) -> str:
    return shown_url(deb_artifact(package.name, deb, lock, workspace.settings).urls[0])
