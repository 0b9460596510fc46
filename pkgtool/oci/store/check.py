"""Checking a store: every hash, every reference; and taking out what is wrong, so that it is made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pkgtool.errors import StoreError
from pkgtool.oci import files
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store.store import Store
from pkgtool.values import Digest


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the store, and how it is taken out."""

    message: str
    repair: Callable[[], None]


def check(store: Store) -> Iterator[Finding]:
    """Everything that is wrong: damaged blobs and inputs, references and memories of what is not whole."""
    damaged: set[Digest] = set()
    for digest, _ in list(store.layout.blobs()):
        try:
            store.layout.verify_blob(digest)
        except StoreError as problem:
            damaged.add(digest)
            yield Finding(problem.message, lambda d=digest: store.layout.remove_blob(d))  # type: ignore[misc]
    yield from _references(store, damaged)
    yield from _memories(store, damaged)
    yield from _inputs(store)


def _references(store: Store, damaged: set[Digest]) -> Iterator[Finding]:
    try:
        references = store.layout.references()
    except StoreError as problem:
        yield Finding(problem.message, store.layout.forget_references)
        return
    for name, descriptor in references.items():
        reason = _missing_below(store, descriptor, damaged)
        if reason:
            yield Finding(
                f"the reference {name} is not whole: {reason}",
                lambda n=name: store.layout.update_references({n: None}),  # type: ignore[misc]
            )


def _memories(store: Store, damaged: set[Digest]) -> Iterator[Finding]:
    for key, _ in list(store.memo.keys()):
        record = store.memo.get(key)
        reason = "unreadable" if record is None else _missing_below(store, record.manifest, damaged)
        if reason:
            yield Finding(f"the memory {key} is not whole: {reason}", lambda k=key: store.memo.remove(k))  # type: ignore[misc]


def _inputs(store: Store) -> Iterator[Finding]:
    for digest in list(store.inputs()):
        path = store.input_path(digest)
        if files.hash_file(path) != digest:
            yield Finding(f"input {digest} is damaged", lambda p=path: p.unlink(missing_ok=True))  # type: ignore[misc]


def _missing_below(store: Store, descriptor: Descriptor, damaged: set[Digest]) -> str:
    """Why an index or manifest can't be used, or nothing."""
    if descriptor.digest in damaged:
        return f"{descriptor.digest} is damaged"
    try:
        if descriptor.is_index:
            reasons = (_missing_below(store, m, damaged) for m in store.layout.index(descriptor).manifests)
            return next(filter(None, reasons), "")
        blobs = store.layout.manifest(descriptor).blobs
    except StoreError as problem:
        return problem.message
    for blob in blobs:
        if not store.layout.has(blob):
            return f"{blob.digest} is missing"
        if blob.digest in damaged:
            return f"{blob.digest} is damaged"
    return ""
