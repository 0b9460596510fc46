"""The Docker engines as fixtures: started when the first test asks for one, shared by all of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import docker_engines
from tests.support.docker_engines import DockerEngine


@pytest.fixture(scope="session")
def docker_old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """Debian 12's Docker 20.10."""
    with docker_engines.old(tmp_path_factory.mktemp("docker") / "old") as engine:
        yield engine


@pytest.fixture(scope="session")
def docker_new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """Sid's Docker 28 with the containerd image store."""
    with docker_engines.new(tmp_path_factory.mktemp("docker") / "new") as engine:
        yield engine


@pytest.fixture(params=["docker_old", "docker_new"])
def docker_engine(request: pytest.FixtureRequest) -> DockerEngine:
    """Each of the two, one after the other."""
    engine: DockerEngine = request.getfixturevalue(request.param)
    return engine
