"""An OCI image layout on disk: blobs by digest, references in index.json (image-spec 1.1, image-layout.md)."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pkgtool.errors import StoreError
from pkgtool.oci import files, locks
from pkgtool.oci.documents import INDEX, REF_NAME, Descriptor, Index, Manifest, encode
from pkgtool.values import Digest


class Layout:
    """The blobs and references of one directory. Creating the object touches nothing; `create` does."""

    def __init__(self, root: Path, *, temporary: Callable[[], Path], lock: Path) -> None:
        self.root = root
        self._blobs = str(root / "blobs")
        self._temporary = temporary
        self._lock = lock

    def create(self) -> None:
        """Make an empty layout where there is none."""
        (self.root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        with locks.held(self._lock):
            if not (self.root / "index.json").exists():
                self._write_index(())
            if not (self.root / "oci-layout").exists():
                files.write_atomic(
                    self.root / "oci-layout", encode({"imageLayoutVersion": "1.0.0"}), unfinished=self._temporary()
                )

    # -- blobs ------------------------------------------------------------------------------------------

    def blob_path(self, digest: Digest) -> Path:
        return self.root / "blobs" / digest.algorithm / digest.hex

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is there with the size that the descriptor says (its hash is not computed)."""
        digest = descriptor.digest
        try:
            # Every run asks this of every blob: plain text is several times as fast as a Path.
            return os.stat(f"{self._blobs}/{digest.algorithm}/{digest.hex}").st_size == descriptor.size
        except OSError:
            return False

    def read(self, descriptor: Descriptor) -> bytes:
        """A small blob, verified. Raises `StoreError` if it is absent or damaged."""
        path = self.blob_path(descriptor.digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError as problem:
            raise self._absent(descriptor.digest) from problem
        if len(content) != descriptor.size or Digest.of(content) != descriptor.digest:
            raise self._damaged(descriptor.digest)
        return content

    def open(self, digest: Digest) -> io.BufferedReader:
        """A blob as a stream, not verified. Raises `StoreError` if it is absent."""
        try:
            return self.blob_path(digest).open("rb")
        except FileNotFoundError as problem:
            raise self._absent(digest) from problem

    def verify_blob(self, digest: Digest) -> None:
        """Raises `StoreError` if the blob is absent or its bytes don't have its digest."""
        path = self.blob_path(digest)
        if not path.exists():
            raise self._absent(digest)
        if files.hash_file(path) != digest:
            raise self._damaged(digest)

    def write(self, content: bytes, media_type: str) -> Descriptor:
        """Add a small blob."""
        descriptor = Descriptor.of(content, media_type)
        if not self.has(descriptor):
            with self.writer() as writer:
                writer.write(content)
                self.adopt(writer)
        return descriptor

    @contextmanager
    def writer(self) -> Iterator[files.HashingWriter]:
        """A stream into a new blob; `adopt` makes it part of the layout, leaving the block without it drops it."""
        with files.HashingWriter(self._temporary()) as writer:
            yield writer

    def adopt(self, writer: files.HashingWriter) -> None:
        """Give a written stream its place under its digest."""
        writer.move_to(self.blob_path(writer.digest))

    def remove_blob(self, digest: Digest) -> None:
        self.blob_path(digest).unlink(missing_ok=True)

    def blobs(self) -> Iterator[tuple[Digest, int]]:
        """Every blob's digest (from its name) and size in bytes."""
        for entry in os.scandir(self.root / "blobs" / "sha256"):
            try:
                yield Digest("sha256", entry.name), entry.stat().st_size
            except ValueError:
                continue  # not a blob: another tool's temporary file

    def manifest(self, descriptor: Descriptor) -> Manifest:
        """Read a platform's manifest."""
        return Manifest.parse(self.read(descriptor), what=f"manifest {descriptor.digest}")

    def index(self, descriptor: Descriptor) -> Index:
        """Read a package's index."""
        return Index.parse(self.read(descriptor), what=f"index {descriptor.digest}")

    # -- references -------------------------------------------------------------------------------------

    def references(self) -> dict[str, Descriptor]:
        """What index.json names. Raises `StoreError` if it is unreadable."""
        return {d.annotations[REF_NAME]: d for d in self._read_index() if REF_NAME in d.annotations}

    def resolve(self, reference: str) -> Descriptor | None:
        return self.references().get(reference)

    def update_references(self, changes: Mapping[str, Descriptor | None]) -> None:
        """Set (or, with None, remove) references, all at once; others are left as they are."""
        if not changes:
            return
        with locks.held(self._lock):
            entries = [d for d in self._read_index() if d.annotations.get(REF_NAME) not in changes]
            for name, descriptor in changes.items():
                if descriptor is not None:
                    entries.append(replace(descriptor, annotations={**descriptor.annotations, REF_NAME: name}))
            self._write_index(entries)

    def forget_references(self) -> None:
        """Start with an empty index.json: for one that can't be read any more."""
        with locks.held(self._lock):
            self._write_index(())

    def unnamed(self) -> list[Descriptor]:
        """What index.json holds without a name: manifests that refer to others (signatures, attestations, SBOMs)."""
        return [d for d in self._read_index() if REF_NAME not in d.annotations]

    def add_unnamed(self, descriptor: Descriptor) -> None:
        """Keep a manifest that no reference leads to; a no-op if it is kept already."""
        with locks.held(self._lock):
            entries = list(self._read_index())
            if all(REF_NAME in d.annotations or d.digest != descriptor.digest for d in entries):
                self._write_index([*entries, descriptor])

    def _read_index(self) -> tuple[Descriptor, ...]:
        path = self.root / "index.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            document = json.loads(content)
            return tuple(Descriptor.parse(entry, what=str(path)) for entry in document["manifests"])
        except (ValueError, KeyError, TypeError) as problem:
            raise StoreError(
                f"{path} is damaged: {problem}",
                hint="'pkgtool store verify --repair' writes it anew from what the store remembers",
            ) from problem

    def _write_index(self, entries: tuple[Descriptor, ...] | list[Descriptor]) -> None:
        ordered = sorted(entries, key=lambda d: (d.annotations.get(REF_NAME, ""), str(d.digest)))
        content = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry.document() for entry in ordered]})
        files.write_atomic(self.root / "index.json", content, unfinished=self._temporary())

    # -- errors -----------------------------------------------------------------------------------------

    def _absent(self, digest: Digest) -> StoreError:
        return StoreError(f"the store has no blob {digest}", hint="'pkgtool build' makes what is missing again")

    def _damaged(self, digest: Digest) -> StoreError:
        return StoreError(
            f"blob {digest} in the store is damaged",
            hint="'pkgtool store verify --repair' removes it, and the next build makes it again",
        )
