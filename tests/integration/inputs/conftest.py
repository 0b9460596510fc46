from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.oci.store import Store
from tests.support.fake_archive import FakeArchive, SigningKey
from tests.support.faulty_server import FaultyServer, running


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with running() as state:
        yield state


@pytest.fixture
def mirror() -> Iterator[FaultyServer]:
    """A second place for the same files."""
    with running() as state:
        yield state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "store")
    with found.in_use():
        yield found


@pytest.fixture(scope="session")
def archive_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    key = SigningKey.make(tmp_path_factory.mktemp("key"))
    yield key
    key.stop()


@pytest.fixture
def archive(tmp_path: Path, archive_key: SigningKey) -> FakeArchive:
    directory = tmp_path / "archive"
    directory.mkdir()
    return FakeArchive(directory, archive_key)
