from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.oci.store import Store
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
