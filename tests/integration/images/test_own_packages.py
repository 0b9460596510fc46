"""The tree's own packages, one of each kind: built in a closed room, and by every engine, to the same bytes.

base is a root file system of locked Debian packages, getty a Dockerfile on it, vsudd Go code that is cross-compiled.
The whole tree is done the same way by hand: `pkgtool fetch`, then `unshare -n pkgtool build --offline`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import PROJECT, CommandLine
from tests.support.docker_engines import DockerEngine
from tests.support.emulation import emulator
from tests.support.offline import no_network
from tests.support.shared_store import image_of, shared

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow]

KINDS = ("base", "getty", "vsudd")
PLATFORMS = "linux/amd64,linux/arm64"


@pytest.fixture(scope="module")
def built() -> CommandLine:
    """The store that has the packages for this machine: a no-op after `make build`."""
    pkgtool = shared()
    pkgtool.run("build", *KINDS, timeout=900).ok()
    return pkgtool


def test_after_fetch_both_platforms_build_without_a_network(built: CommandLine, tmp_path: Path) -> None:
    built.run("fetch", "--platform", PLATFORMS, *KINDS, timeout=600).ok()
    room = CommandLine(PROJECT, tmp_path / "closed" / "room" / "store")
    _copy_inputs(built.store, room.store)
    with emulator("arm64"), no_network():
        arguments = ("--offline", "--engine", "buildah", "--platform", PLATFORMS, "--progress", "plain")
        ended = room.run("build", *arguments, *KINDS, timeout=1500, umask=0o077)
    assert ended.code == 0, ended.err
    for package in KINDS:
        assert image_of(room, package, "amd64").digest == image_of(built, package, "amd64").digest
        assert image_of(room, package, "arm64").config["architecture"] == "arm64"


def _copy_inputs(source: Path, target: Path) -> None:
    """Inputs alone: no image, no engine's cache."""
    place = target / "pkgtool" / "inputs" / "sha256"
    place.mkdir(parents=True)
    for file in (source / "pkgtool" / "inputs" / "sha256").iterdir():
        try:
            os.link(file, place / file.name)
        except OSError:  # another file system
            shutil.copyfile(file, place / file.name)


@pytest.mark.xdist_group("docker")
def test_docker_of_every_kind_makes_the_same_bytes(
    built: CommandLine, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    packages = KINDS if docker_engine.name == "docker-containerd" else ("getty", "vsudd")
    ended = built.run("reproduce", "--engine", "docker", "--json", "--progress", "plain", *packages, timeout=900)
    assert ended.code == 0, ended.err
    found = {each["package"]: each for each in ended.json}
    assert set(found) == set(packages)
    assert all(each["same"] for each in found.values())
    version = docker_engine.docker("version", "--format", "{{.Server.Version}}").strip()
    assert found["getty"]["rebuilt"]["madeBy"] == f"docker {version}"
    assert found["vsudd"]["rebuilt"]["madeBy"] == f"docker {version}"
