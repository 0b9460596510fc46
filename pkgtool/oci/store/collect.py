"""Collecting garbage: what no current tag needs and nobody has used for a while, and what only that needed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from pkgtool.errors import StoreError
from pkgtool.oci.archive import everything_below
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store.store import Store, remove_tree
from pkgtool.values import Digest


@dataclass(frozen=True, slots=True)
class Needs:
    """What must stay: keys of the memo, references, and inputs by digest."""

    keys: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()
    inputs: frozenset[Digest] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """What else may stay: what was used in the last `age` seconds, as long as blobs stay below `size` bytes."""

    age: float
    size: int | None = None


@dataclass(slots=True)
class Collected:
    """What was, or would be, removed."""

    memories: int = 0
    references: int = 0
    blobs: int = 0
    inputs: int = 0
    freed: int = 0
    """Bytes."""
    kept: int = field(default=0)
    """Bytes of blobs and inputs that stay."""


def collect(store: Store, needs: Needs, limits: Limits, *, dry_run: bool = False) -> Collected:
    """Remove what `needs` and `limits` don't protect. The caller holds the store exclusively."""
    now = time.time()
    used = dict(store.memo.keys())
    keys = {key for key, last in used.items() if key in needs.keys or now - last <= limits.age}
    if limits.size is not None:
        keys = _within(store, keys, used, needs, limits.size)
    found = Collected(memories=len(used) - len(keys))
    references = _references(store, keys, needs)
    found.references = sum(1 for _, keep in references if not keep)
    roots = [d for (_, d), keep in references if keep]
    roots += [record.manifest for key in keys if (record := store.memo.get(key))]
    reachable = _reachable(store, roots)
    if not dry_run:
        # Names go before what they name: a kill in between leaves garbage, never a name of what is gone.
        store.layout.update_references({name: None for (name, _), keep in references if not keep})
        for key in used.keys() - keys:
            store.memo.remove(key)
        _sweep_old_files(store, now - limits.age)
    _sweep_blobs(store, reachable, found, dry_run)
    _sweep_inputs(store, needs, now - limits.age, found, dry_run)
    return found


def _within(store: Store, keys: set[str], used: dict[str, float], needs: Needs, size: int) -> set[str]:
    """Forget the least recently used results until the rest fits; what is needed stays whatever its size."""
    kept: set[str] = set()
    seen: set[Digest] = set()
    total = 0
    for key in sorted(keys, key=lambda k: (k not in needs.keys, -used[k])):
        record = store.memo.get(key)
        blobs = [b for b in (record.manifest, *record.blobs) if b.digest not in seen] if record else []
        more = sum(blob.size for blob in blobs)
        if key in needs.keys or total + more <= size:
            kept.add(key)
            seen.update(blob.digest for blob in blobs)
            total += more
    return kept


def _references(store: Store, keys: set[str], needs: Needs) -> list[tuple[tuple[str, Descriptor], bool]]:
    """Every reference and whether it stays: it is needed, or all that it names is remembered."""
    remembered = {record.manifest.digest for key in keys if (record := store.memo.get(key))}
    result = []
    for name, descriptor in store.layout.references().items():
        try:
            below = store.layout.index(descriptor).manifests if descriptor.is_index else (descriptor,)
        except StoreError:
            below = (descriptor,)
        keep = name in needs.references or all(manifest.digest in remembered for manifest in below)
        result.append(((name, descriptor), keep))
    return result


def _reachable(store: Store, roots: Iterable[Descriptor]) -> set[Digest]:
    found: set[Digest] = set()
    for root in roots:
        if root.digest not in found:
            try:
                found.update(d.digest for d in everything_below(store.layout, root))
            except StoreError:
                found.add(root.digest)  # damaged: 'store verify' says so, nothing is lost here
    return found


def _sweep_blobs(store: Store, reachable: set[Digest], found: Collected, dry_run: bool) -> None:
    for digest, size in list(store.layout.blobs()):
        if digest in reachable:
            found.kept += size
            continue
        found.blobs += 1
        found.freed += size
        if not dry_run:
            store.layout.remove_blob(digest)


def _sweep_inputs(store: Store, needs: Needs, before: float, found: Collected, dry_run: bool) -> None:
    for digest in list(store.inputs()):
        path = store.input_path(digest)
        status = path.stat()
        if digest in needs.inputs or status.st_mtime >= before:
            found.kept += status.st_size
            continue
        found.inputs += 1
        found.freed += status.st_size
        if not dry_run:
            path.unlink()


def _sweep_old_files(store: Store, before: float) -> None:
    for folder in ("logs", "listings", "statements", "downloads"):
        for path in (store.private / folder).glob("*"):
            if path.stat().st_mtime < before:
                remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)
