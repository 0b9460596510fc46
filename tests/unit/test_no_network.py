"""The guard that keeps unit tests off the network works."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest


def test_connections_to_hosts_fail() -> None:
    with socket.socket() as client, pytest.raises(AssertionError, match="reaches for the network"):
        client.connect(("127.0.0.1", 9))
    with pytest.raises(AssertionError, match=r"looks up example\.com"):
        socket.create_connection(("example.com", 80))


def test_sockets_in_the_file_system_still_work(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
