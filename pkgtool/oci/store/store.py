"""The store as one object: the layout, the memo, inputs, logs, temporary space and locks of one directory."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import StoreError
from pkgtool.oci import files, locks
from pkgtool.oci.store.layout import Layout
from pkgtool.oci.store.memo import Memo, MemoRecord
from pkgtool.oci.store.statements import Statements
from pkgtool.values import Digest

FORMAT = "1"


class Store:
    """One store directory. Creating the object touches nothing: a no-op run on a fresh machine leaves no trace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.private = root / "pkgtool"
        self.layout = Layout(root, temporary=self.temporary, lock=self.private / "locks" / "index")
        self.memo = Memo(self.private / "memo", self.temporary)
        self.statements = Statements(self.private / "statements", self.temporary)
        self._guard = threading.Lock()
        self._temporary: Path | None = None
        self._temporary_lock: int | None = None

    # -- life -------------------------------------------------------------------------------------------

    @contextmanager
    def in_use(self, *, exclusive: bool = False, cancel: Cancellation | None = None) -> Iterator[None]:
        """Hold the store while content is added or used (shared), or collected (exclusive).

        Makes the directories, removes what killed processes left in the temporary directory.
        Raises `StoreError` if the place can't be written, or was made by a newer pkgtool.
        """
        try:
            self._prepare()
            with locks.held(self.private / "locks" / "store", shared=not exclusive, cancel=cancel):
                self._remove_leftovers()
                try:
                    yield
                finally:
                    self._drop_temporary()
        except PermissionError as problem:
            raise StoreError(
                f"the store {self.root} can't be written: {problem.strerror} ({problem.filename})",
                hint="choose another place with --store DIR or PKGTOOL_STORE",
            ) from problem

    def _prepare(self) -> None:
        self.private.mkdir(parents=True, exist_ok=True)
        marker = self.private / "format"
        try:
            found = marker.read_text().strip()
        except FileNotFoundError:
            files.write_atomic(marker, f"{FORMAT}\n".encode())
        else:
            if found != FORMAT:
                raise StoreError(
                    f"the store {self.root} has format {found}, this pkgtool writes format {FORMAT}",
                    hint="use the pkgtool that made it, or another place with --store DIR",
                )
        self.layout.create()

    # -- memo -------------------------------------------------------------------------------------------

    def remembered(self, keys: Iterable[str]) -> dict[str, MemoRecord]:
        """The records of those keys whose blobs are all there."""
        found = {}
        for key in self.memo.present(keys):
            record = self.memo.get(key)
            if record and all(self.layout.has(blob) for blob in (record.manifest, *record.blobs)):
                found[key] = record
        return found

    def remember(self, key: str, record: MemoRecord) -> None:
        self.memo.put(key, record)

    # -- inputs -----------------------------------------------------------------------------------------

    def input_path(self, digest: Digest) -> Path:
        """Where the input with that digest lies, or would lie."""
        return self.private / "inputs" / digest.algorithm / digest.hex

    def inputs(self) -> Iterator[Digest]:
        """Every input by its name, which is its digest."""
        directory = self.private / "inputs" / "sha256"
        for path in directory.iterdir() if directory.is_dir() else ():
            with contextlib.suppress(ValueError):  # not an input: somebody else's file
                yield Digest("sha256", path.name)

    def adopt_input(self, writer: files.HashingWriter) -> Path:
        """Give a written stream its place among the inputs."""
        place = self.input_path(writer.digest)
        writer.move_to(place)
        return place

    # -- small files ------------------------------------------------------------------------------------

    def log_path(self, name: str) -> Path:
        """The path of a step's log; its directory exists."""
        path = self.private / "logs" / f"{name.replace('/', '_')}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def timings(self) -> dict[str, float]:
        """Seconds that each step took the last time it ran, by step id."""
        try:
            document = json.loads((self.private / "timings.json").read_bytes())
            return {str(name): float(seconds) for name, seconds in document.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def record_timings(self, measured: Mapping[str, float]) -> None:
        if measured:
            with locks.held(self.private / "locks" / "timings"):
                merged = {**self.timings(), **{name: round(seconds, 3) for name, seconds in measured.items()}}
                content = json.dumps(merged, indent=0, sort_keys=True).encode()
                files.write_atomic(self.private / "timings.json", content, unfinished=self.temporary())

    def engine_directory(self, name: str) -> Path:
        """Storage that belongs to one engine."""
        path = self.private / "engines" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    # -- locks and temporary space ----------------------------------------------------------------------

    @contextmanager
    def lock(
        self, name: str, *, cancel: Cancellation | None = None, on_wait: Callable[[], None] | None = None
    ) -> Iterator[None]:
        """Hold a lock that all processes on this store share."""
        with locks.held(self.private / "locks" / name, cancel=cancel, on_wait=on_wait):
            yield

    def temporary(self) -> Path:
        """This process's directory for unfinished files, on the store's own file system."""
        with self._guard:
            if self._temporary is None:
                parent = self.private / "tmp"
                parent.mkdir(parents=True, exist_ok=True)
                # Under the same lock as the removal of leftovers, which must not see a directory before its lock.
                with locks.held(self.private / "locks" / "tmp"):
                    path = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
                    self._temporary_lock = locks.try_hold(path / ".lock")
                self._temporary = path
            return self._temporary

    @contextmanager
    def scratch(self, prefix: str) -> Iterator[Path]:
        """A directory that is gone after the block."""
        path = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=self.temporary()))
        try:
            yield path
        finally:
            remove_tree(path)

    def _drop_temporary(self) -> None:
        if self._temporary is not None:
            remove_tree(self._temporary)
            self._temporary = None
        if self._temporary_lock is not None:
            os.close(self._temporary_lock)
            self._temporary_lock = None

    def _remove_leftovers(self) -> None:
        parent = self.private / "tmp"
        if not parent.is_dir():
            return
        with locks.held(self.private / "locks" / "tmp"):
            for path in parent.iterdir():
                with contextlib.suppress(OSError):
                    descriptor = locks.try_hold(path / ".lock")
                    if descriptor is not None:
                        remove_tree(path)
                        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a directory, also one whose own directories may not be written (module caches are like that)."""

    def make_writable(function: Callable[..., object], name: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            Path(name).parent.chmod(0o700)
            Path(name).chmod(0o700)
            function(name)

    shutil.rmtree(path, onerror=make_writable)
