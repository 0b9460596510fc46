"""The real archive and the real module proxy, and the real go command on what was laid out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgtool import process
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.go_source import GoProxies
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.lock_reader import parse_lock
from pkgtool.inputs.lock_writer import format_lock
from pkgtool.inputs.resolve import Resolver, Target
from pkgtool.inputs.stage import Staging, artifacts_of, stage
from pkgtool.model import DebianInput, GoInput, Inputs, Package, TreeSettings
from pkgtool.oci.store import Store
from pkgtool.values import Platform

pytestmark = pytest.mark.network

BOTH = (Platform.parse("linux/amd64"), Platform.parse("linux/arm64"))
SUMS = """\
github.com/linuxkit/virtsock v0.0.0-20241009230534-cb6a20cc0422 h1:XvRuyDDRvi+UDxHN/M4MW4HxjmNVMmUKQj/+AbgsYgk=
github.com/linuxkit/virtsock v0.0.0-20241009230534-cb6a20cc0422/go.mod h1:JLgfq4XMVbvfNlAXla/41lZnp21O72a/wWHGJefAvgQ=
golang.org/x/sys v0.0.0-20170511214829-9c9d83fe39ed h1:zZ09nMxaZ+d+ObsmknNM+RrXWBw+22dzC/Fm62ueXgs=
golang.org/x/sys v0.0.0-20170511214829-9c9d83fe39ed/go.mod h1:STP8DvDyc/dI5b8T5hshtkjS+E42TnysNCUPdjciGhY=
"""
MOD = """\
module example.org/test

go 1.19

require github.com/linuxkit/virtsock v0.0.0-20241009230534-cb6a20cc0422

require golang.org/x/sys v0.0.0-20170511214829-9c9d83fe39ed // indirect
"""
MAIN = """\
package main

import "github.com/linuxkit/virtsock/pkg/vsock"

func main() { println(vsock.CIDHost) }
"""


def artifacts(name: str, lock: Lock, settings: TreeSettings, proxies: str = "") -> list[Artifact]:
    """All that a lock pins, for all its architectures."""
    archs = lock.debian.request.architectures if lock.debian else ()
    return artifacts_of(Staging(name, lock, archs, 0), settings, proxies=GoProxies(proxies))


def locked(store: Store, directory: Path, inputs: Inputs) -> tuple[Lock, TreeSettings]:
    package = Package(
        name="x",
        org="linuxkit",
        path="pkg/x",
        tag_template="",
        platforms=BOTH,
        context=(),
        source_url="",
        source_date_epoch=0,
        inputs=inputs,
    )
    settings = TreeSettings()
    with Fetcher(store) as fetcher, Resolver(fetcher, settings) as resolver:
        lock = resolver.resolve(Target(package, directory, (), BOTH), previous=None)
    assert parse_lock(format_lock(lock).encode(), "inputs.lock") == lock
    return lock, settings


def test_debians_own_archive(store: Store, tmp_path: Path) -> None:
    lock, settings = locked(store, tmp_path, Inputs(debian=DebianInput("trixie", ("busybox-static", "netbase"))))
    assert lock.debian
    assert [archive.suite for archive in lock.debian.archives] == ["trixie", "trixie-security"]
    names = {deb.name: deb.architectures for deb in lock.debian.debs if deb.name in ("busybox-static", "netbase")}
    assert names["netbase"] == ("amd64", "arm64")
    with Fetcher(store) as fetcher:
        fetched = fetcher.fetch(artifacts("x", lock, settings))
    assert {artifact.name for artifact in fetched} >= {"busybox-static", "netbase"}


def test_the_go_command_builds_from_what_is_laid_out(store: Store, tmp_path: Path) -> None:
    for name, content in {"go.mod": MOD, "go.sum": SUMS, "main.go": MAIN}.items():
        (tmp_path / name).write_text(content)
    lock, settings = locked(store, tmp_path, Inputs(go=(GoInput("."),)))
    with Fetcher(store) as fetcher:
        stage(Staging("x", lock, (), 1_700_000_000), tmp_path, fetcher, settings)
    environment = {
        "GOPROXY": f"file://{tmp_path}/inputs/go",
        "GOFLAGS": "-modcacherw",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": str(tmp_path / "modules"),
        "GOCACHE": str(tmp_path / "cache"),
        "CGO_ENABLED": "0",
    }
    command = ["unshare", "--map-root-user", "--net", "go", "build", "-o", str(tmp_path / "program"), "."]
    process.run(command, why="test", cwd=str(tmp_path), env=environment)
    assert (tmp_path / "program").exists()
    everything = ["unshare", "--map-root-user", "--net", "go", "mod", "download", "all"]
    process.run(everything, why="test", cwd=str(tmp_path), env=environment)
