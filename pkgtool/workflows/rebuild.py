"""Building anew what exists, as differently as possible, and saying what came out differently."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.engines.interface import Engine
from pkgtool.events import Note, Sink
from pkgtool.oci.canonical.extract import extract_files
from pkgtool.oci.compare import ImageDifference, compare
from pkgtool.oci.store import MemoRecord, Store
from pkgtool.oci.store.store import remove_tree
from pkgtool.plan import Step, StepKind
from pkgtool.values import Platform
from pkgtool.workflows import engines
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, carry_out, make_plan

_OTHER_UMASK = 0o077


@dataclass(frozen=True, slots=True)
class Comparison:
    """One package on one platform: both results, who made them, and the difference if there is one."""

    package: str
    platform: Platform
    original: MemoRecord
    rebuilt: MemoRecord
    difference: ImageDifference | None
    extracted: str = ""
    """Where the differing files of both lie, for diffoscope."""

    @property
    def same(self) -> bool:
        return self.original.manifest.digest == self.rebuilt.manifest.digest


def rebuild(
    options: RunOptions,
    names: Sequence[str],
    makers: Collection[str],
    store: Store,
    *,
    events: Sink,
    cancel: Cancellation,
) -> BuildReport:
    """Build packages anew in `store`, with another umask and an engine that is not among `makers` if there is one."""

    def connect() -> Engine:
        engine = others() if others else _other_engine(makers, options.engine, store)
        events(Note("info", f"rebuilding with {engine.info}"))
        return engine

    there = replace(options, store=store.root)
    planned = make_plan(there, list(names), rebuild=True)
    others = None
    if options.builders:
        workspace, platform = planned.tree.workspace, planned.target.build_platform
        others = engines.connect(options, workspace, store, platform, events=events)
    before = os.umask(_OTHER_UMASK)
    try:
        return carry_out(planned, there, connect=connect, events=events, cancel=cancel)
    finally:
        os.umask(before)


def _other_engine(makers: Collection[str], wanted: str, store: Store) -> Engine:
    """The engine that was asked for; else one that did not make the originals; else whichever there is."""
    from pkgtool.engines import buildah, docker, select

    if wanted != "auto":
        return select.connect(store, wanted)
    found: Engine | None = None
    if not any(maker.startswith("docker ") for maker in makers):
        found = docker.connect(store)
    return found or buildah.connect(store) or select.connect(store)


@contextmanager
def elsewhere(options: RunOptions, source: Store, names: Sequence[str]) -> Iterator[Store]:
    """A store in another place that has the inputs, and what the packages stand on, but not they themselves."""
    place = Path(tempfile.mkdtemp(prefix="pkgtool-reproduce-"))
    store = Store(place / "another-store")
    try:
        with store.in_use():
            inputs = source.private / "inputs"
            inputs.mkdir(parents=True, exist_ok=True)
            (store.private / "inputs").symlink_to(inputs)
            for step in make_plan(options, list(names), rebuild=True).plan.steps:
                if step.kind is StepKind.BUILD and step.known:
                    _copy(source, store, step.key, step.known)
        yield store
    finally:
        remove_tree(place)


def _copy(source: Store, target: Store, key: str, record: MemoRecord) -> None:
    for blob in (*record.blobs, record.manifest):
        place = target.layout.blob_path(blob.digest)
        if not place.exists():
            source.layout.verify_blob(blob.digest)
            with source.layout.open(blob.digest) as content, target.layout.writer() as writer:
                while chunk := content.read(1 << 20):
                    writer.write(chunk)
                target.layout.adopt(writer)
    target.remember(key, record)


def rebuilt_steps(report: BuildReport, names: Collection[str]) -> list[Step]:
    """The steps that built the images of `names` (not of what they stand on)."""
    return [step for step in report.plan.steps if step.kind is StepKind.BUILD and step.package in names]


def compared(original: MemoRecord, before: Store, rebuilt: BuildReport, step: Step) -> Comparison:
    """An image of the store `before` with the one that a rebuild's step made."""
    after = rebuilt.results.by_step[step.id].record
    assert after is not None
    assert step.platform is not None
    comparison = Comparison(step.package, step.platform, original, after, None)
    return comparison if comparison.same else _explained(comparison, before, rebuilt.store)


def _explained(comparison: Comparison, before: Store, after: Store) -> Comparison:
    """The comparison with what differs, and the differing files of both laid out for diffoscope."""
    original, rebuilt = comparison.original.manifest, comparison.rebuilt.manifest
    found = compare(before.layout, original, after.layout, rebuilt)
    place = Path(tempfile.mkdtemp(prefix=f"pkgtool-difference-{comparison.package.replace('/', '-')}-"))
    paths = {file.path for file in found.files}
    extract_files(before.layout, original, paths, place / "original")
    extract_files(after.layout, rebuilt, paths, place / "rebuilt")
    return replace(comparison, difference=found, extracted=str(place))
