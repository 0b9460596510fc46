from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.registry.built_tree import Built, fill
from tests.support.registry.server import State, serving
from tests.support.tree import TreeBuilder


@pytest.fixture
def built(packages: TreeBuilder, pkgtool: CommandLine) -> Built:
    return fill(pkgtool)


@pytest.fixture
def state(built: Built, pkgtool: CommandLine) -> Iterator[State]:
    """A registry that has the tree."""
    with serving() as found:
        pkgtool("push", "--registry", found.address).ok()
        yield found


@pytest.fixture
def release(state: State, pkgtool: CommandLine, tmp_path: Path) -> Callable[..., object]:
    def run(*options: str, name: str = "v1.2"):
        return pkgtool("release", name, "--registry", state.address, "--file", str(tmp_path / f"{name}.json"), *options)

    return run
