from __future__ import annotations

from pathlib import Path

import pytest

from pkgtool.kernel.boot.initramfs import busybox
from tests.support import built_kernel
from tests.support.built_kernel import BuiltKernel
from tests.support.docker_fixtures import docker_old  # noqa: F401 - a fixture
from tests.support.project_store import project


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> BuiltKernel:
    """6.1 with the small configuration, built once: the next run finds it in the store."""
    return built_kernel.build(project(), tmp_path_factory.mktemp("kernel"))


@pytest.fixture(scope="session")
def tools() -> Path:
    return busybox("amd64")
