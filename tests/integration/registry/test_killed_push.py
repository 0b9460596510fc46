"""SIGKILL in the middle of a push of a layer of 300 MB: the same command ends it, and sends again what it must."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from tests.support.command_line import CommandLine
from tests.support.registry import registries, server
from tests.support.registry.built_tree import fill
from tests.support.registry.fault_proxy import Weather, proxying
from tests.support.registry.images import AMD64, assert_whole
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("300 MB")]
SIZE = 300_000_000
PART = RegistrySettings().chunk


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a package that has the layer; made once."""
    return tmp_path_factory.mktemp("killed")


@contextmanager
def place(kind: str, directory: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """A registry's address, and how many bytes have arrived there."""
    if kind == "strict":
        with server.serving() as state:
            yield state.address, lambda: state.received
    elif kind == "docker-registry":
        with registries.docker_registry(directory) as address:
            yield address, lambda: bytes_of_uploads(directory)
    else:
        with registries.docker_registry(directory) as upstream:
            weather = Weather(upstream)
            with proxying(weather) as address:
                yield address, lambda: weather.received


def bytes_of_uploads(directory: Path) -> int:
    """How much has arrived of uploads that are under way; the registry makes and removes their files meanwhile."""
    arrived = 0
    for place, _, names in os.walk(directory):
        if Path(place).parent.name == "_uploads" and "data" in names:
            with suppress(FileNotFoundError):
                arrived += Path(place, "data").stat().st_size
    return arrived


@pytest.mark.parametrize("kind", ["strict", "docker-registry", "buffering proxy"])
def test_the_same_command_ends_a_killed_push(
    kind: str, tree: TreeBuilder, pkgtool: CommandLine, filled: Path, tmp_path: Path
) -> None:
    """A registry that keeps what has arrived gets no byte twice; one that keeps whole parts gets those once."""
    tree.package("big", "arches: [amd64]\n")
    tree.commit()
    line = CommandLine(tree.root, filled / "store")
    if not line.store.exists():
        fill(line, own={"big": SIZE})
    layer = max(blob.stat().st_size for blob in (line.store / "blobs/sha256").iterdir())
    command = ("push", "--progress", "plain")
    with place(kind, tmp_path / "registry") as (address, arrived):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with line.start(*command, "--registry", address, **quiet) as process:
            deadline = time.monotonic() + 120
            while arrived() < 4 * PART + PART // 2 and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, "it was killed in the middle"
        time.sleep(0.5)
        before = arrived()
        with Registry(address, RegistrySettings(certificates=())) as registry:
            tag = line("show-tag", "big").ok().out.strip().rpartition(":")[2]
            assert registry.repository("linuxkit/big").resolve(tag) is None, "nothing is published yet"
        done = line.run(*command, "--registry", address, "--json", timeout=300).ok()
        (step,) = done.json["steps"]
        assert step["result"] == "pushed"
        if kind == "strict":
            assert step["sent"] < layer - 4 * PART + 10_000, "what had arrived was not sent again"
        elif kind == "buffering proxy":
            assert "going on at byte" in done.err
            assert arrived() - before < layer - 3 * PART, "whole parts that had arrived were not sent again"
        with Registry(address, RegistrySettings(certificates=())) as registry:
            published = assert_whole(registry.repository("linuxkit/big"), f"{tag}-{AMD64.arch}")
        assert step["platforms"] == {str(AMD64): str(published.digest)}
    assert not list((line.store / "pkgtool/uploads").iterdir()), "nothing is left of it"
