"""Copying images and indexes, with all that is below them and on request all that refers to them.

Between any two repositories: registry, store, exported directory, memory. Blobs go first, in parallel, each once;
then manifests, children before parents; tags last. What the target already has is asked, never assumed; a target
that has a manifest has everything below it, because it would not have taken it otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from pkgtool.errors import RegistryError
from pkgtool.events import Sink, StepProgress, ignore
from pkgtool.oci.documents import Descriptor, Index, Manifest
from pkgtool.oci.repository import Repository, Target
from pkgtool.values import Digest, Platform

A = TypeVar("A")
B = TypeVar("B")

_MAX_NESTING = 4
"""Indexes inside indexes; more than one level is already unusual."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """`mount_from` are repositories of the target's registry that may hold layers; `step` names the work in events."""

    mount_from: tuple[str, ...] = ()
    parallel: int = 8
    step: str = ""
    sink: Sink = ignore


DEFAULT_OPTIONS = CopyOptions()


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did: `sent` counts bytes of blobs; 0 manifests means that everything was there."""

    root: Descriptor
    manifests: int = 0
    blobs: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A manifest or index of the source with its bytes."""

    descriptor: Descriptor
    content: bytes = field(repr=False)
    children: tuple[Node, ...] = ()
    blobs: tuple[Descriptor, ...] = ()


def copy(
    source: Repository,
    target: Target,
    reference: str | Digest,
    *,
    tags: Sequence[str] = (),
    options: CopyOptions = DEFAULT_OPTIONS,
) -> Copied:
    """Copy what `reference` names, and point `tags` of the target at it.

    With a digest and one tag that is already right, it costs a single request. Raises `RegistryError` or
    `StoreError`; no tag is set then.
    """
    digest = reference if isinstance(reference, Digest) else _resolved(source, reference).digest
    right = {tag: found for tag in tags if (found := target.resolve(tag)) and found.digest == digest}
    missing = [tag for tag in tags if tag not in right]
    present = next(iter(right.values()), None) or target.resolve(digest)
    if present:
        content = _manifest(source, digest)[1] if missing else b""
        for tag in missing:
            target.put_manifest(content, present.media_type, tag=tag)
        return Copied(present)
    return put_tree(source, target, read_tree(source, digest, have=target), tags=missing, options=options)


def pull(
    source: Repository,
    target: Target,
    reference: str | Digest,
    platforms: Iterable[Platform] | None = None,
    *,
    options: CopyOptions = DEFAULT_OPTIONS,
) -> Mapping[Platform, Descriptor]:
    """Copy the images of some platforms (of all by default) out of an index, not the index itself.

    The answer holds the platforms that the index has; others are absent from it. A reference without an index
    counts as having the platform its configuration names.
    """
    wanted = set(platforms) if platforms is not None else None
    found = _platforms_of(source, reference)
    chosen = {platform: entry for platform, entry in found.items() if wanted is None or platform in wanted}
    for entry in chosen.values():
        copy(source, target, entry.digest, options=options)
    return chosen


def _platforms_of(source: Repository, reference: str | Digest) -> dict[Platform, Descriptor]:
    descriptor, content = _manifest(source, reference)
    what = f"{source.name}: {reference}"
    if descriptor.is_index:
        entries = Index.parse(content, what=what, error=RegistryError).manifests
        return {entry.platform: entry for entry in entries if entry.platform}
    manifest = Manifest.parse(content, what=what, error=RegistryError)
    return {platform_of(source.read_blob(manifest.config), what=what): descriptor}


def platform_of(configuration: bytes, *, what: str) -> Platform:
    """The platform that an image's configuration names."""
    from pkgtool.oci.documents import decode

    document = decode(configuration, what=f"the configuration of {what}", error=RegistryError)
    try:
        return Platform(document["os"], document["architecture"], document.get("variant") or "")
    except (KeyError, ValueError, TypeError) as problem:
        raise RegistryError(f"the configuration of {what} names no platform") from problem


def read_tree(source: Repository, digest: Digest, *, have: Repository | None = None, depth: int = 0) -> Node:
    """A manifest with all the manifests below it, without those that `have` has already."""
    descriptor, content = _manifest(source, digest)
    what = f"{source.name}: {digest}"
    if descriptor.is_manifest:
        blobs = Manifest.parse(content, what=what, error=RegistryError).blobs
        return Node(descriptor, content, blobs=tuple(blob for blob in blobs if not _is_foreign(blob)))
    if depth >= _MAX_NESTING:
        raise RegistryError(f"{what}: indexes are nested more than {_MAX_NESTING} deep")
    entries = {entry.digest: entry for entry in Index.parse(content, what=what, error=RegistryError).manifests}
    missing = [d for d in entries if have is None or have.resolve(d) is None]
    return Node(descriptor, content, tuple(read_tree(source, d, have=have, depth=depth + 1) for d in missing))


def put_tree(
    source: Repository,
    target: Target,
    tree: Node,
    *,
    tags: Sequence[str] = (),
    options: CopyOptions = DEFAULT_OPTIONS,
) -> Copied:
    """Put a tree that was read before: all blobs, then its manifests upwards, the root under `tags`."""
    nodes = list(_upwards(tree))
    blobs = {blob.digest: blob for node in nodes for blob in node.blobs}
    ordered = sorted(blobs.values(), key=lambda blob: -blob.size)
    progress = _Progress(options, sum(blob.size for blob in ordered))

    def take(blob: Descriptor) -> int:
        sent = target.take_blob(blob, source, mount_from=options.mount_from)
        progress.add(blob.size)
        return sent

    sent = in_parallel(take, ordered, options.parallel)
    for node in nodes[:-1]:
        target.put_manifest(node.content, node.descriptor.media_type)
    for tag in tags or ("",):
        target.put_manifest(tree.content, tree.descriptor.media_type, tag=tag)
    return Copied(tree.descriptor, len(nodes), sum(1 for size in sent if size), sum(sent))


def in_parallel(work: Callable[[A], B], items: Sequence[A], parallel: int) -> list[B]:
    """`work` on every item, a few at a time; results in order. After an error nothing new begins, and it is raised."""
    if len(items) <= 1 or parallel <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(parallel, len(items))) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


class _Progress:
    def __init__(self, options: CopyOptions, total: int) -> None:
        self._options = options
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            done = self._done
        self._options.sink(StepProgress(self._options.step, done, self._total))


def _upwards(node: Node) -> Iterable[Node]:
    for child in node.children:
        yield from _upwards(child)
    yield node


def _resolved(source: Repository, reference: str | Digest) -> Descriptor:
    found = source.resolve(reference)
    if found is None:
        raise _absent(source, reference)
    return found


def _manifest(source: Repository, reference: str | Digest) -> tuple[Descriptor, bytes]:
    found = source.get_manifest(reference)
    if found is None:
        raise _absent(source, reference)
    return found


def _absent(source: Repository, reference: str | Digest) -> RegistryError:
    place = f"{source.name}@{reference}" if isinstance(reference, Digest) else f"{source.name}:{reference}"
    return RegistryError(f"{place} does not exist", hint="'pkgtool build' makes it, 'pkgtool push' publishes it")


def _is_foreign(blob: Descriptor) -> bool:
    """Layers that may not be distributed stay where their URLs say (image-spec, "Non-Distributable Layers")."""
    return "nondistributable" in blob.media_type or "foreign" in blob.media_type
