"""getty's arm64 image, its programs run by an emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Built
from tests.support.getty import SHADOW, Getty, log_in
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("emulated")]


def test_root_logs_in_at_the_prompt_of_an_arm64_console(
    built: Built, rootfs: Callable[..., Path], tmp_path: Path
) -> None:
    """The console is the one that arm64 machines have; the shell says what it runs on."""
    getty = Getty(built.image("getty", "arm64"), rootfs("getty", "arm64"), tmp_path / "getty")
    with Terminal() as terminal, getty("console=ttyAMA0,115200", {"ttyAMA0": terminal}, shadow=SHADOW):
        log_in(terminal)
        terminal.expect(r"\(ns: getty\) .*# ")
        terminal.type("tty; stty speed; uname -m; dpkg --print-architecture")
        assert "/dev/ttyAMA0\r\n115200\r\naarch64\r\narm64\r\n" in terminal.expect(r"\narm64\r\n")
