"""Inputs that say their own sha256 or commit: their lock is worked out when they are fetched, and written nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pkgtool.errors import InputError
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.file_source import lock_file
from pkgtool.inputs.git_source import lock_git
from pkgtool.inputs.lock import Content, Lock, LockedFile, LockedGit
from pkgtool.inputs.mirrors import VARIABLE
from pkgtool.model import FileInput, GitInput, Package
from pkgtool.oci.files import write_atomic
from pkgtool.oci.store import Store
from pkgtool.values import Digest


def pinned_lock(package: Package, fetcher: Fetcher) -> Lock:
    """The lock of a package whose inputs are pinned, fetching what the store does not have.

    It bears no date, since what was fetched years apart must have one. Raises `InputError`.
    """
    inputs = package.inputs
    return Lock(
        files=tuple(_file(package.name, request, fetcher) for request in inputs.files),
        git=tuple(_git(package.name, request, fetcher) for request in inputs.git),
    )


def pinned_contents(package: Package, store: Store) -> Iterator[Digest]:
    """What the store keeps of such a package's inputs, as far as that is known without fetching."""
    for file in package.inputs.files:
        yield Digest("sha256", file.sha256)
    for git in package.inputs.git:
        known = _known(_commit_place(store, git))
        if known is not None:
            yield known.digest


def _file(package: str, request: FileInput, fetcher: Fetcher) -> LockedFile:
    digest = Digest("sha256", request.sha256)
    path = fetcher.store.input_path(digest)
    if path.is_file():
        return LockedFile(request, Content(digest, path.stat().st_size))
    try:
        return LockedFile(request, lock_file(package, request, None, Path(), fetcher).content)
    except InputError as problem:
        prefix = request.url.removesuffix(request.name)
        raise InputError(
            f"an input of {package} is missing: {request.name}",
            details=problem.details,
            hint=f"with it in a directory: {VARIABLE}={prefix}=file:///DIRECTORY/ (or `mirrors:` in pkgtool.yml)",
        ) from problem


def _git(package: str, request: GitInput, fetcher: Fetcher) -> LockedGit:
    """A commit's tree has no sha256 in its name: what it came to the first time is kept beside it."""
    place = _commit_place(fetcher.store, request)
    known = _known(place)
    if known is None or not fetcher.store.input_path(known.digest).is_file():
        found = lock_git(package, request, None, fetcher)
        write_atomic(place, json.dumps({"sha256": found.content.digest.hex, "size": found.content.size}).encode())
        return LockedGit(request, found.commit, found.content)
    return LockedGit(request, request.ref, known)


def _commit_place(store: Store, request: GitInput) -> Path:
    return store.private / "inputs" / "commits" / f"{request.ref}.json"


def _known(place: Path) -> Content | None:
    try:
        said = json.loads(place.read_bytes())
        return Content(Digest("sha256", said["sha256"]), int(said["size"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
