"""Locks of a package's files, git commits and Go modules, for tests: made, refused, and what they are made of."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from pkgtool.errors import PkgtoolError
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.go_source import GoProxies
from pkgtool.inputs.go_sum import escaped, hash_mod, hash_zip
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.lock_reader import parse_lock
from pkgtool.inputs.lock_writer import format_lock
from pkgtool.inputs.resolve import NOTHING, Resolver, Target
from pkgtool.inputs.stage import Staging, artifacts_of
from pkgtool.inputs.transfer import Limits
from pkgtool.model import GoInput, Inputs, Package, TreeSettings
from pkgtool.oci.store import Store
from pkgtool.values import Platform

QUICK = Limits(attempts=2, silence=5, first_wait=0.01)
SETTINGS = TreeSettings(debian_snapshot="", debian_security_mirror="")


def artifacts(name: str, lock: Lock, settings: TreeSettings, proxies: str = "") -> list[Artifact]:
    """All that a lock pins, for all its architectures."""
    archs = lock.debian.request.architectures if lock.debian else ()
    return artifacts_of(Staging(name, lock, archs, 0), settings, proxies=GoProxies(proxies))


def package(**inputs: object) -> Package:
    return Package(
        name="x",
        org="linuxkit",
        path="pkg/x",
        tag_template="",
        platforms=(Platform.parse("linux/amd64"),),
        context=(),
        source_url="",
        source_date_epoch=0,
        inputs=Inputs(**inputs),  # type: ignore[arg-type]
    )


def lock(
    store: Store,
    wanted: Package,
    directory: Path,
    *,
    previous: Lock | None = None,
    update: frozenset[str] | None = NOTHING,
    proxies: str = "",
    settings: TreeSettings = SETTINGS,
    keyring: str = "",
) -> Lock:
    with (
        Fetcher(store, limits=QUICK) as fetcher,
        Resolver(fetcher, settings, proxies=GoProxies(proxies), keyring=keyring) as resolver,
    ):
        found = resolver.resolve(Target(wanted, directory, (), wanted.platforms), previous=previous, update=update)
    assert parse_lock(format_lock(found).encode(), "inputs.lock") == found
    return found


def refused(store: Store, wanted: Package, directory: Path, **options: object) -> PkgtoolError:
    with pytest.raises(PkgtoolError) as caught:
        lock(store, wanted, directory, **options)  # type: ignore[arg-type]
    return caught.value


def git(directory: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "GIT_AUTHOR_DATE": "@1700000000 +0000",
        "GIT_COMMITTER_DATE": "@1700000000 +0000",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def module_files(module: str, version: str, requires: str = "") -> dict[str, bytes]:
    """What a proxy has of a module."""
    mod = f"module {module}\n\ngo 1.19\n{requires}".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{module}@{version}/go.mod", mod)
        archive.writestr(f"{module}@{version}/code.go", f"package {module.rpartition('/')[2].lower()}\n")
    top = f"/{escaped(module)}/@v/{version}"
    return {f"{top}.mod": mod, f"{top}.zip": buffer.getvalue()}


def sums(module: str, version: str, files: dict[str, bytes], tmp_path: Path) -> str:
    def h1(kind: str) -> str:
        path = tmp_path / f"hashed.{kind}"
        path.write_bytes(next(data for name, data in files.items() if name.endswith(f"{version}.{kind}")))
        return hash_zip(path) if kind == "zip" else hash_mod(path)

    return f"{module} {version} {h1('zip')}\n{module} {version}/go.mod {h1('mod')}\n"


GO = package(go=(GoInput("."),))
