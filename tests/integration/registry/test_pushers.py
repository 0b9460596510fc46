"""Eight processes push two trees' images of four platforms to the same tags at once: nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pkgtool.oci.registry.publish import read_index
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from tests.support.registry import registries, server
from tests.support.registry.images import PLATFORMS, assert_whole, put_package
from tests.support.registry.memory import MemoryRepository

TAGS = ("one", "two", "three")

_PUSHER = """
import sys
from pathlib import Path
from pkgtool.oci.registry.publish import Publication, publish
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from tests.support.registry.images import PLATFORMS, put_package
from tests.support.registry.memory import MemoryRepository
address, state, tags, number = sys.argv[1:]
platform = PLATFORMS[int(number) % 4]
state = Path(state)
with Registry(address, RegistrySettings(state=state, certificates=())) as registry:
    print("ready", flush=True)
    sys.stdin.readline()
    for tag in tags.split(","):
        store = MemoryRepository("store")
        _, images = put_package(store, PLATFORMS, seed=tag)
        work = Publication(tag, {platform: images[platform]}, PLATFORMS, state=state)
        publish(store, registry.repository("linuxkit/raced"), work)
"""


@pytest.mark.parametrize("machines", ["one machine", "eight machines"])
@pytest.mark.parametrize("kind", ["docker-registry", "strict"])
def test_eight_pushers(kind: str, machines: str, tmp_path: Path) -> None:
    """On one machine a lock keeps them apart; eight machines share nothing but the registry."""
    environment = {**os.environ, "PYTHONPATH": "."}
    with registries.docker_registry(tmp_path / "registry") as docker, server.serving() as strict:
        address = docker if kind == "docker-registry" else strict.address
        pushers = []
        for number in range(8):
            state = tmp_path / ("state" if machines == "one machine" else f"state-{number}")
            arguments = [sys.executable, "-c", _PUSHER, address, str(state), ",".join(TAGS), str(number)]
            pushers.append(
                subprocess.Popen(
                    arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
                )
            )
        for pusher in pushers:
            assert pusher.stdout
            assert pusher.stdout.readline() == b"ready\n"
        for pusher in pushers:
            assert pusher.stdin
            pusher.stdin.write(b"go\n")
            pusher.stdin.flush()
        for pusher in pushers:
            _, errors = pusher.communicate(timeout=120)
            assert pusher.returncode == 0, errors.decode()
        with Registry(address, RegistrySettings(certificates=())) as registry:
            repository = registry.repository("linuxkit/raced")
            for tag in TAGS:
                whole, _ = put_package(MemoryRepository(), PLATFORMS, seed=tag)
                assert set(read_index(repository, tag).images) == set(PLATFORMS)
                assert assert_whole(repository, tag).digest == whole.digest, "the canonical index, whoever wrote it"
