"""Brings artifacts into the store: in parallel, from the first place that has the right bytes.

The content's hash decides, so a place is never trusted. What is unfinished stays in the store's private area
(`inputs/partial/`), keyed by the hash it should get, and is gone on with by the next attempt, place or run.
What is wrong is deleted at once. Nothing reaches `inputs/sha256/` before all of it has been hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from pkgtool.cancel import Cancellation
from pkgtool.errors import InputError, PkgtoolError, raise_all
from pkgtool.events import Note, Sink, ignore
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.lock import Content
from pkgtool.inputs.mirrors import Mirrors
from pkgtool.inputs.missed import Missed, problems, shortened
from pkgtool.inputs.partial import Partial
from pkgtool.inputs.places import Failure, Places
from pkgtool.inputs.progress import Progress
from pkgtool.inputs.transfer import Limits
from pkgtool.oci.files import hash_file
from pkgtool.oci.store import Store
from pkgtool.values import Digest

Check = Callable[[Path], str]
"""Looks at a file that was fetched; gives the reason to refuse it, or nothing."""
JOBS = 8
"""Transfers at once: enough to hide the latency of a mirror with many small files."""


class Fetcher:
    """Fetches for one store. Use it as a context manager; its connections are shared by all its transfers."""

    def __init__(
        self,
        store: Store,
        *,
        mirrors: Mirrors | None = None,
        offline: bool = False,
        jobs: int = JOBS,
        limits: Limits | None = None,
        cancel: Cancellation | None = None,
        events: Sink = ignore,
    ) -> None:
        self.store = store
        self.mirrors = mirrors or Mirrors()
        self.offline = offline
        self.cancel = cancel or Cancellation()
        self.events = events
        self._jobs = jobs
        self._places = Places(store, limits or Limits(), self.cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._places.close()

    # -- what is there ----------------------------------------------------------------------------------

    def missing(self, artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
        """Those that the store does not have with the right size, each content once."""
        absent: dict[Digest, Artifact] = {}
        for artifact in artifacts:
            if artifact.digest not in absent and not self.present(artifact.content):
                absent[artifact.digest] = artifact
        return tuple(absent.values())

    def present(self, content: Content) -> bool:
        """Whether the store has an input of that name and size (its hash is not computed)."""
        try:
            return self.store.input_path(content.digest).stat().st_size == content.size
        except OSError:
            return False

    def reject_damaged(self, artifacts: Sequence[Artifact]) -> tuple[Artifact, ...]:
        """Hash what the store has; what is not what its name says is removed, told, and given back."""
        with ThreadPoolExecutor(self._jobs) as pool:
            intact = list(pool.map(self._intact, artifacts))
        damaged = tuple(artifact for artifact, good in zip(artifacts, intact, strict=True) if not good)
        for artifact in damaged:
            path = self.store.input_path(artifact.digest)
            self.events(Note("warning", f"{artifact.label} in the store is damaged, removed: {path}"))
            path.unlink(missing_ok=True)
        return damaged

    def _intact(self, artifact: Artifact) -> bool:
        self.cancel.check()
        path = self.store.input_path(artifact.digest)
        return not path.exists() or hash_file(path) == artifact.digest

    # -- fetching ---------------------------------------------------------------------------------------

    def fetch(self, artifacts: Iterable[Artifact], *, step: str = "fetch") -> tuple[Artifact, ...]:
        """Bring everything that is missing; gives back what was fetched.

        Raises `InputError` (or `Problems`) after all have been tried: one error for each artifact that no place
        served, or, offline, one that lists all that is missing. Raises `Interrupted` if cancelled.
        """
        wanted = self.missing(artifacts)
        if self.offline:
            _refuse_offline(wanted)
        progress = Progress(step, sum(artifact.size for artifact in wanted), self.events)
        with ThreadPoolExecutor(self._jobs) as pool:
            results = list(pool.map(lambda artifact: self._fetch_one(artifact, progress), wanted))
        self.cancel.check()
        raise_all(problems(result for result in results if result))
        if wanted:
            progress.finish()
        return wanted

    def _fetch_one(self, artifact: Artifact, progress: Progress) -> PkgtoolError | Missed | None:
        try:
            with self._claimed(artifact.digest):
                if self.present(artifact.content):
                    return None  # another process brought it while this one waited
                failures = self._fill(artifact, progress)
        except PkgtoolError as error:
            return error
        return None if failures is None else Missed(artifact, tuple(failures))

    def _fill(self, artifact: Artifact, progress: Progress) -> list[Failure] | None:
        """None once the artifact is in the store, else why each place failed."""
        failures = []
        with self._partial(artifact.digest) as partial:
            complete = partial.size == artifact.size and partial.digest == artifact.digest
            if partial.size >= artifact.size and not complete:
                partial.restart()
            for url in () if complete else self.mirrors.all_places(artifact.urls):
                failure = self._places.serve(
                    url, partial, artifact.content, lambda size: progress.update(artifact.digest.hex, size)
                )
                if failure is None:
                    complete = True
                    break
                failures.append(failure)
                if not failure.known:
                    self.events(Note("warning", f"{artifact.label}: {failure}"))
            if complete:
                partial.move_to(self.store.input_path(artifact.digest))
        return None if complete else failures

    def learn(self, label: str, urls: Sequence[str], *, check: Check | None = None, step: str = "lock") -> Content:
        """Bring a file whose hash is not known yet: only for making a lock. `check` says what else must hold.

        Raises `InputError` if no place serves it.
        """
        if self.offline:
            raise InputError(f"{label} has to be looked at, and this run is offline", hint="run it without --offline")
        key = Digest.of("\n".join(urls).encode())
        failures = []
        progress = Progress(step, 0, self.events)
        with self._claimed(key), self._partial(key) as partial:
            for url in self.mirrors.all_places(urls):
                partial.restart()  # without a hash nobody can tell whether two places' parts belong together
                failure = self._places.serve(url, partial, None, lambda size: progress.update(key.hex, size))
                if failure is None and check:
                    partial.flush()
                    refusal = check(partial.path)
                    failure = Failure(url, refusal, gone=False) if refusal else None
                if failure is None:
                    content = Content(partial.digest, partial.size)
                    partial.move_to(self.store.input_path(content.digest))
                    return content
                failures.append(failure)
            partial.restart()
        raise InputError(
            f"{label} could not be fetched",
            details=[str(failure) for failure in failures],
            hint="correct the URL in build.yml, or add one to its mirrors",
        )

    def _partial(self, digest: Digest) -> Partial:
        return Partial(self.store.input_path(digest).parent.parent / "partial" / digest.hex)

    def _claimed(self, digest: Digest) -> AbstractContextManager[None]:
        """One process at a time per artifact. 256 locks for all digests: a file per digest would never go away."""
        return self.store.lock(f"input-{digest.hex[:2]}", cancel=self.cancel)


def _refuse_offline(missing: Sequence[Artifact]) -> None:
    if not missing:
        return
    packages = sorted({artifact.package for artifact in missing})
    raise InputError(
        f"offline, and {len(missing)} input{'s are' if len(missing) > 1 else ' is'} not in the store",
        details=shortened([f"{artifact.label} ({artifact.digest.short})" for artifact in missing]),
        hint=f"with network: pkgtool fetch {' '.join(packages)}",
    )
