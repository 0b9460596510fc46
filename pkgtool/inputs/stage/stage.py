"""Fetches what is missing, lays everything out, and replaces what turns out to be damaged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import StoreError
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.debian.places import deb_artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.file_source import file_artifact
from pkgtool.inputs.git_source import git_artifact
from pkgtool.inputs.go_source import GoProxies, go_artifacts
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.stage.copying import copy_verified
from pkgtool.inputs.stage.debian import deb_names, write_repository
from pkgtool.inputs.stage.git import unpack
from pkgtool.inputs.stage.go import module_path, write_proxy
from pkgtool.model import TreeSettings

_COPIES = 4


@dataclass(frozen=True, slots=True)
class Staging:
    """What to lay out: the lock of `package`, for these Debian architectures, with times of `epoch` (seconds)."""

    package: str
    lock: Lock
    architectures: tuple[str, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class _Placed:
    """An artifact and the file, or (`tree`) the directory, below `inputs/` that it becomes."""

    artifact: Artifact
    path: str
    tree: bool = False

    @property
    def copy_path(self) -> str:
        """Where its bytes are copied to; a tree is unpacked from a name that no input can have."""
        parent, _, name = self.path.rpartition("/")
        return f"{parent}/.{name}.tar" if self.tree else self.path


def artifacts_of(staging: Staging, settings: TreeSettings, *, proxies: GoProxies | None = None) -> list[Artifact]:
    """All that `stage` will need, to be fetched before."""
    return [entry.artifact for entry in _placed(staging, settings, proxies or GoProxies())]


def stage(
    staging: Staging,
    context: Path,
    fetcher: Fetcher,
    settings: TreeSettings,
    *,
    proxies: GoProxies | None = None,
) -> None:
    """Lay the inputs into `context` (which must not have `inputs/` yet), fetching what the store lacks.

    A copy in the store that is not what its name says is named in a warning, removed and fetched again. Raises
    `InputError` if something can't be fetched, `StoreError` if the store gives wrong bytes time and again.
    """
    placed = _placed(staging, settings, proxies or GoProxies())
    top = context / "inputs"
    top.mkdir(parents=True)
    fetcher.fetch([entry.artifact for entry in placed], step=f"fetch {staging.package}")
    damaged = _copy(placed, top, fetcher)
    if damaged:
        fetcher.reject_damaged([entry.artifact for entry in damaged])
        fetcher.fetch([entry.artifact for entry in damaged], step=f"fetch {staging.package}")
        again = _copy(damaged, top, fetcher)
        if again:
            raise StoreError(
                f"the store gives wrong bytes for {again[0].artifact.label}, though it was fetched just now",
                hint="check the disk under the store, or take another one with --store DIR",
            )
    for entry in placed:
        if entry.tree:
            unpack(top / entry.copy_path, top / entry.path)
    if staging.lock.debian:
        write_repository(top / "debian", staging.lock.debian, staging.architectures)
    if staging.lock.go:
        write_proxy(top / "go", staging.lock.go)
    _settle(top, staging.epoch)


def _placed(staging: Staging, settings: TreeSettings, proxies: GoProxies) -> list[_Placed]:
    lock, package = staging.lock, staging.package
    found: list[_Placed] = []
    if lock.debian:
        for deb, name in deb_names(lock.debian, staging.architectures):
            found.append(_Placed(deb_artifact(package, deb, lock.debian, settings), f"debian/{name}"))
    found += [_Placed(file_artifact(package, file), f"files/{file.request.name}") for file in lock.files]
    found += [_Placed(git_artifact(package, git), f"git/{git.request.name}", tree=True) for git in lock.git]
    for module in lock.go.modules if lock.go else ():
        for artifact, kind in zip(go_artifacts(package, module, proxies), ("mod", "zip"), strict=False):
            found.append(_Placed(artifact, f"go/{module_path(module, kind)}"))
    return found


def _copy(placed: Sequence[_Placed], top: Path, fetcher: Fetcher) -> list[_Placed]:
    """Copy from the store; gives back those whose bytes are wrong, which are not left behind."""
    for directory in {(top / entry.path).parent for entry in placed}:
        directory.mkdir(parents=True, exist_ok=True)

    def copy(entry: _Placed) -> bool:
        fetcher.cancel.check()
        source = fetcher.store.input_path(entry.artifact.digest)
        return copy_verified(source, top / entry.copy_path, entry.artifact.digest)

    with ThreadPoolExecutor(_COPIES) as pool:
        good = list(pool.map(copy, placed))
    return [entry for entry, right in zip(placed, good, strict=True) if not right]


def _settle(top: Path, epoch: int) -> None:
    """Fixed modes and times, whatever the umask and the hour."""
    for parent, directories, files in os.walk(top, topdown=False):
        for name in files:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (epoch, epoch), follow_symlinks=False)
        for name in directories:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755)
            os.utime(path, (epoch, epoch), follow_symlinks=False)
    top.chmod(0o755)
    os.utime(top, (epoch, epoch))
