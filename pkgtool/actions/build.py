"""The build step: context from git, inputs beside it, an engine, a canonical image, and the memory of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pkgtool.actions import authorities
from pkgtool.actions.failed_step import StepWatcher
from pkgtool.actions.inputs import InputAccess
from pkgtool.actions.site import Site
from pkgtool.actions.statements import Run, Witness
from pkgtool.cancel import Cancellation
from pkgtool.engines import dockerfile
from pkgtool.engines.interface import BuildRequest, LineSink, Parent
from pkgtool.engines.rootfs import RootfsRequest, make_rootfs, rootfs_maker
from pkgtool.errors import BuildError, PkgtoolError, StoreError
from pkgtool.events import StepActivity, StepLog, StepProgress, StepWaiting
from pkgtool.executor import Outcome, StepResult
from pkgtool.fingerprint import Fingerprint
from pkgtool.model import RUNTIME_CONFIG_LABEL, Dependency, Package, Role, Rootfs
from pkgtool.oci.canonical.config import ImageSpec
from pkgtool.oci.canonical.image import CanonicalImage, canonicalise
from pkgtool.oci.canonical.product import Product, RootfsConfig, from_docker_archive, from_rootfs
from pkgtool.oci.store import MemoRecord
from pkgtool.plan.planner import build_key
from pkgtool.plan.steps import Step
from pkgtool.source.context import normalise, write_context
from pkgtool.values import ImageRef, Platform

_LOCAL_HOST = "localhost"
_TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be made: a package on a platform, from these images, with this time (seconds since 1970)."""

    step: str
    package: Package
    fingerprint: Fingerprint
    platform: Platform
    parents: list[tuple[Dependency, Parent]]
    epoch: int


class BuildAction:
    """Builds one package for one platform."""

    def __init__(self, site: Site, inputs: InputAccess) -> None:
        self._site = site
        self._inputs = inputs
        self._witness = Witness(site, inputs)

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        """Build, or reuse what another process built in the meantime."""
        assert step.platform is not None
        store = self._site.store
        waiting = StepWaiting(step.id, "another pkgtool builds it")
        with store.lock(f"build-{step.key}", cancel=cancel, on_wait=lambda: self._site.events(waiting)):
            known = store.remembered([step.key]).get(step.key)
            if known and step.package not in self._site.rebuild:
                return StepResult(Outcome.REUSED, known)
            started, began = time.monotonic(), datetime.now(UTC)
            with self._logged(step) as (log, path):
                work = self._work(step, step.platform)
                image, made_by = self._make(work, log, cancel)
                run = Run(made_by, began, datetime.now(UTC), path)
            self._witness.record(work.package, work.platform, work.parents, image.manifest, run)
            seconds = time.monotonic() - started
            record = MemoRecord(image.manifest, image.blobs, made_by, seconds)
            store.remember(step.key, record)
            store.record_timings({step.id: seconds})
            return StepResult(Outcome.BUILT, record, seconds, log=str(path))

    # -- the work ---------------------------------------------------------------------------------------

    def _work(self, step: Step, platform: Platform) -> _Work:
        package = self._site.package(step.package)
        return _Work(
            step=step.id,
            package=package,
            fingerprint=self._site.fingerprints[step.package],
            platform=platform,
            parents=self._parents(package, platform),
            epoch=self._inputs.epoch(package),
        )

    def _make(self, work: _Work, log: LineSink, cancel: Cancellation) -> tuple[CanonicalImage, str]:
        package = work.package
        with self._site.store.scratch("build") as scratch:
            product, made_by = self._product(work, scratch, log, cancel)
            cancel.check()
            spec = ImageSpec(work.platform, work.epoch, package.name, _labels(package, work.fingerprint))
            candidates = [p.manifest for d, p in work.parents if d.role is not Role.TOOL]
            return canonicalise(self._site.store.layout, product, spec, parents=candidates), made_by

    def _product(self, work: _Work, scratch: Path, log: LineSink, cancel: Cancellation) -> tuple[Product, str]:
        """Lay out the context and let an engine work on it: the product, and who made it."""
        package, context = work.package, scratch / "context"
        if package.seal:
            return self._sealed(work, scratch, cancel)
        write_context(self._site.sources, package.context, context, epoch=work.epoch)
        lender = self._lender(work, scratch)
        text = "" if package.rootfs else _prepare(context / package.dockerfile, lender)
        normalise(context, epoch=work.epoch)
        if package.inputs:
            self._inputs.stage(package, work.platform, context)
        archive = scratch / "image.tar"
        if package.rootfs:
            self._make_rootfs(work, package.rootfs, context, archive, log, cancel)
            config = RootfsConfig(package.rootfs.env, package.rootfs.command)
            return from_rootfs(archive, config), rootfs_maker()
        watcher = StepWatcher(log)
        try:
            request = self._request(work, context, lender)
            made_by = self._site.engine.build(request, archive, log=watcher, cancel=cancel)
        except BuildError as failure:
            file = f"{package.path}/{package.dockerfile}".lstrip("/")
            failure.location = watcher.place(failure, file, text, declared=len(_arguments(lender)))
            raise
        return from_docker_archive(archive, scratch, mounts=_mounts(text, lender)), str(made_by)

    def _lender(self, work: _Work, scratch: Path) -> Parent | None:
        """What lends this machine's certificate authorities to steps that have the network."""
        if not work.package.network or work.package.rootfs:
            return None
        return authorities.image(self._site.store.layout, scratch, work.platform, epoch=work.epoch)

    def _sealed(self, work: _Work, scratch: Path, cancel: Cancellation) -> tuple[Product, str]:
        from pkgtool.actions import sealing

        (_, unsigned), *_ = work.parents
        product = sealing.sealed(
            self._site.store.layout,
            unsigned.manifest,
            self._site.sealing[work.package.name],
            scratch,
            progress=lambda done, total: self._site.events(StepProgress(work.step, done, total, "modules")),
            cancel=cancel,
        )
        return product, sealing.MADE_BY

    def _request(self, work: _Work, context: Path, lender: Parent | None) -> BuildRequest:
        package = work.package
        arguments = {
            **work.fingerprint.build_args,
            **{argument_name(d): str(p.reference) for d, p in work.parents if d.role is not Role.REFERENCE},
            dockerfile.EPOCH_ARGUMENT: str(work.epoch),
            **(authorities.VARIABLES if lender else {}),
        }
        return BuildRequest(
            title=f"{package.name} {work.platform}",
            context=context,
            dockerfile=package.dockerfile,
            platform=work.platform,
            build_args=arguments,
            parents=(*(parent for _, parent in work.parents), *([lender] if lender else [])),
            network=package.network,
            use_cache=package.cache and package.name not in self._site.rebuild,
            epoch=work.epoch,
            tools=self._site.build_platform if any(d.role is Role.TOOL for d, _ in work.parents) else None,
        )

    def _make_rootfs(
        self, work: _Work, rootfs: Rootfs, context: Path, output: Path, log: LineSink, cancel: Cancellation
    ) -> None:
        lock = self._inputs.lock(work.package).debian
        if lock is None:
            raise BuildError(f"{work.package.name} is a root file system without Debian packages")
        request = RootfsRequest(
            title=f"{work.package.name} {work.platform}",
            platform=work.platform,
            lock=lock,
            rootfs=rootfs,
            repository=context / "inputs" / "debian",
            setup=context / rootfs.setup if rootfs.setup else None,
            epoch=work.epoch,
        )
        with self._site.store.scratch("rootfs") as scratch:
            make_rootfs(request, output, scratch, log=log, cancel=cancel)

    def _parents(self, package: Package, platform: Platform) -> list[tuple[Dependency, Parent]]:
        """The images that this one may be FROM, as they are in the store."""
        found = []
        for dependency in package.dependencies:
            wanted = self._site.build_platform if dependency.role is Role.TOOL else platform
            other, fingerprint = self._site.package(dependency.name), self._site.fingerprints[dependency.name]
            key = build_key(fingerprint, other, wanted)
            record = self._site.store.remembered([key]).get(key)
            if record is None:
                raise StoreError(f"{other.name} for {wanted} has disappeared from the store", hint="build again")
            reference = fingerprint.reference
            if dependency.role is not Role.REFERENCE:
                reference = local_reference(fingerprint.platform_reference(wanted))
            found.append((dependency, Parent(reference, record.manifest)))
        return found

    # -- its log ----------------------------------------------------------------------------------------

    @contextmanager
    def _logged(self, step: Step) -> Iterator[tuple[LineSink, Path]]:
        """A sink that writes the step's log and tells listeners; a failure gets the log's end and place."""
        activity = self._activity(step)
        path = self._site.store.log_path(f"{step.title.replace(' ', '-')}-{step.key[:12]}")
        tail: list[str] = []
        with path.open("w", encoding="utf-8", errors="replace") as file:

            def log(line: str) -> None:
                file.write(f"{line}\n")
                tail.append(line)
                del tail[:-_TAIL_LINES]
                self._site.events(StepLog(step.id, line))
                activity(line)

            try:
                yield log, path
            except BuildError as failure:
                file.write(f"{failure.message}\n")
                raise BuildFailed(step, failure, tail, path, self._site.repeat(step.package)) from failure

    def _activity(self, step: Step) -> LineSink:
        """What tells listeners how far a kernel is, from the lines of its build."""
        package = self._site.package(step.package)
        if not package.build_file.startswith("kernel/series/"):
            return lambda _: None
        from pkgtool.kernel.progress import BuildProgress, follow

        progress = BuildProgress(usual=package.usual_objects)

        def activity(line: str) -> None:
            nonlocal progress
            after = follow(progress, line)
            if after is not progress:
                progress = after
                self._site.events(StepActivity(step.id, progress.text))

        return activity


class BuildFailed(BuildError):
    """A package's build failed; `log` is the path of everything it printed, `repeat` the start of a command."""

    def __init__(self, step: Step, cause: PkgtoolError, tail: list[str], log: Path, repeat: str) -> None:
        super().__init__(
            f"{step.title} could not be built: {cause.message}",
            location=cause.location,
            details=tail or cause.details,
            hint=f"to repeat this step alone: {repeat} --platform {step.platform} {step.package}",
        )
        self.log = log


def _mounts(text: str, lender: Parent | None) -> tuple[str, ...] | None:
    """Where the steps of the final image have mounts of their own; None if it has no steps."""
    steps = dockerfile.final_steps(text)
    if not steps:
        return None
    lent = dockerfile.mount_targets(authorities.mount(lender)) if lender else []
    return (*lent, *(target for step in steps for target in dockerfile.mount_targets(step)))


def _arguments(lender: Parent | None) -> tuple[str, ...]:
    """What every step of a Dockerfile is to see in its environment."""
    return (dockerfile.EPOCH_ARGUMENT, *(authorities.VARIABLES if lender else ()))


def _prepare(recipe: Path, lender: Parent | None) -> str:
    """Let every step of a Dockerfile see those arguments, and lend it certificates; returns it as it was written."""
    text = recipe.read_text("utf-8", "surrogateescape")
    shown = dockerfile.declaring(text, _arguments(lender))
    if lender:
        shown = dockerfile.with_mount(shown, authorities.mount(lender))
    recipe.write_text(shown, "utf-8", "surrogateescape")
    return text


def argument_name(dependency: Dependency) -> str:
    """The build argument by which a Dockerfile names a dependency: `BASE_IMAGE`, or `GO_COMPILE_TOOL` for a tool."""
    stem = re.sub(r"[^A-Za-z0-9]", "_", dependency.name).upper()
    return f"{stem}_TOOL" if dependency.role is Role.TOOL else f"{stem}_IMAGE"


def local_reference(reference: ImageRef) -> ImageRef:
    """The name of an image inside an engine: on a host that no engine ever asks over the network."""
    repository = (
        f"{reference.host.replace(':', '-')}/{reference.repository}" if reference.host else reference.repository
    )
    return ImageRef(repository, reference.tag, host=_LOCAL_HOST)


def _labels(package: Package, fingerprint: Fingerprint) -> Mapping[str, str]:
    """What the image says of itself: only what its fingerprint determines, so no commit and no time."""
    labels = {
        "org.opencontainers.image.source": package.source_url,
        "org.opencontainers.image.title": package.name,
        "org.opencontainers.image.version": fingerprint.content_hash,
    }
    if package.runtime_config:
        labels[RUNTIME_CONFIG_LABEL] = package.runtime_config
    return labels
