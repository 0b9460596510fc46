"""A directory without packages, as when somebody stands in the wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine

COMMANDS = [("list",), ("graph",), ("plan",), ("show-tag",), ("build",), ("lock",), ("lock", "--check"), ("fetch",)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_it_is_said_where_packages_were_looked_for(command: tuple[str, ...], tmp_path: Path) -> None:
    ended = CommandLine(tmp_path, tmp_path / "store")(*command)
    assert ended.code == 2
    assert f"error: there is no package in {tmp_path}: no build.yml in pkg/* or ." in ended.err
    assert "pkgtool -C DIRECTORY" in ended.err


def test_a_store_is_collected_from_anywhere(tmp_path: Path) -> None:
    """Nothing counts as needed there, and nothing that was used of late is removed."""
    ended = CommandLine(tmp_path, tmp_path / "store")("store", "gc").ok()
    assert ended.out.startswith("0 references, 0 results, 0 blobs, 0 inputs removed")
