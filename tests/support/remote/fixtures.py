"""Two workers that tests share: one machine each, one authority for both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.emulation import emulator
from tests.support.remote.certificates import Authority
from tests.support.remote.workers import Worker, worker


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs for workers and clients."""
    return Authority(tmp_path_factory.mktemp("authority"), "builders")


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[tuple[Worker, Worker]]:
    """A worker for linux/amd64, and one that takes itself for linux/arm64."""
    place = tmp_path_factory.mktemp("workers")
    with (
        emulator("arm64"),  # the second one only takes itself for such a machine
        worker(place, "a", authority, ["linux/amd64"]) as first,
        worker(place, "b", authority, ["linux/arm64"]) as second,
    ):
        yield first, second
