"""A store to make canonical images in."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgtool.oci.store import Store
from tests.support.products import Factory


@pytest.fixture
def made(tmp_path: Path) -> Factory:
    return Factory(Store(tmp_path / "store"), tmp_path / "products")
