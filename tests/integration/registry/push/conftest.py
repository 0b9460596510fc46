from __future__ import annotations

import pytest

from tests.support.tree import TreeBuilder

PACKAGES = ("alpha", "beta", "gamma", "delta")


@pytest.fixture
def packages(tree: TreeBuilder) -> TreeBuilder:
    """Four packages for two platforms, committed."""
    for name in PACKAGES:
        tree.package(name, "arches: [amd64, arm64]\n")
    tree.commit()
    return tree
