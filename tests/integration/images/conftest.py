"""Trees of small packages that real engines build in seconds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.docker_fixtures import docker_engine, docker_new, docker_old
from tests.support.registry.registries import docker_registry
from tests.support.tree import TreeBuilder

__all__ = ["docker_engine", "docker_new", "docker_old"]

BUSYBOX = """\
FROM scratch AS busybox
COPY --chmod=0755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
"""


@pytest.fixture(autouse=True)
def no_engine_but_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Docker engine this machine has does not count: tests say which one they mean.

    What pkgtool leaves for people to look at goes with the test.
    """
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")


def with_busybox(tree: TreeBuilder, name: str, *steps: str, build_yml: str = "", **files: str) -> None:
    """A package with a shell, and steps of its own in the Dockerfile."""
    found = shutil.which("busybox")
    assert found, "busybox is needed: apt-get install busybox-static"
    dockerfile = BUSYBOX + "".join(f"{step}\n" for step in steps)
    directory = tree.package(name, build_yml, dockerfile=dockerfile, files=dict(files))
    tree.write(f"{directory}/busybox", Path(found).read_bytes(), executable=True)


def digests(pkgtool: CommandLine, reference: str) -> str:
    """The digest that a reference of the store has."""
    found = pkgtool("store", "ls", "--json").ok().json
    return next(each["digest"] for each in found if each["reference"] == reference)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry, of this session alone."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host
