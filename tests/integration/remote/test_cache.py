"""A worker's build cache in a registry: it saves work, and never changes a result."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.nodes import Node
from pkgtool.values import Platform
from pkgtool.workflows.build import build
from pkgtool.workflows.options import RunOptions
from tests.integration.remote.test_remote_builds import digests
from tests.support.registry.registries import docker_registry
from tests.support.remote import buildkit_program
from tests.support.remote import tree as trees
from tests.support.remote.workers import Worker

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.xdist_group("buildkit")]

AMD64 = Platform("linux", "amd64")
Workers = tuple[Worker, Worker]


@pytest.fixture
def registry(workers: Workers, tmp_path: Path) -> Iterator[str]:
    """A registry that the first worker reaches."""
    with docker_registry(tmp_path / "registry", host=workers[0].machine.here) as address:
        yield address


@pytest.fixture
def tree(registry: str, tmp_path: Path) -> Path:
    """A tree that speaks plain HTTP to that registry."""
    root = trees.make(tmp_path / "tree", leaves=1, seconds=0.5)
    with (root / "pkgtool.yml").open("a") as file:
        file.write(f"insecure-registries: ['{registry}']\n")
    return root


def forget(worker: Worker) -> None:
    """Remove everything that a worker has."""
    command = [str(buildkit_program.programs() / "buildctl"), "--addr", f"unix://{worker.socket}", "prune", "--all"]
    subprocess.run(command, check=True, capture_output=True)


class Runs:
    """Builds of one tree, each into a store of its own."""

    def __init__(self, tree: Path, place: Path, node: Node) -> None:
        self._tree, self._place, self._node = tree, place, node
        self.lines: list[str] = []

    def __call__(self, name: str, **cache: tuple[str, ...]) -> dict[str, str]:
        self.lines.clear()
        options = RunOptions(self._tree, platforms=(AMD64,), store=self._place / name, builders=(self._node,), **cache)
        listen = lambda event: self.lines.append(getattr(event, "line", ""))  # noqa: E731
        return digests(build(options, [], events=listen, cancel=Cancellation()))

    def ran(self) -> bool:
        """Whether the worker did the work of the leaf, and did not find it."""
        return not any(line.startswith("=> ") and "RUN n=0" in line and "(cached)" in line for line in self.lines)


def test_a_cache_in_a_registry_serves_a_worker_that_knows_nothing(
    workers: Workers, registry: str, tree: Path, tmp_path: Path
) -> None:
    worker, cache = workers[0], f"{registry}/cache"
    run = Runs(tree, tmp_path, worker.node("first"))
    forget(worker)
    without = run("without")
    assert run.ran()
    forget(worker)
    assert run("written", cache_to=(cache,)) == without
    assert run.ran()
    forget(worker)
    assert run("read", cache_from=(cache,)) == without
    assert not run.ran(), "the step came out of the registry"


def test_a_cache_that_is_not_there_fails_nothing(workers: Workers, registry: str, tree: Path, tmp_path: Path) -> None:
    run = Runs(tree, tmp_path, workers[0].node("first"))
    nowhere = f"{workers[0].machine.here}:9/cache"
    assert run("nowhere", cache_from=(nowhere,), cache_to=(nowhere,)) == run("without")
