"""Unit tests need no network: whoever tries to reach one fails."""

from __future__ import annotations

import socket
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection fail that is not to a socket in the file system."""

    def guarded(name: str) -> Any:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any, *rest: Any) -> Any:
            if self.family != socket.AF_UNIX:
                raise AssertionError(f"a unit test reaches for the network: {address}")
            return original(self, address, *rest)

        return connect

    def no_lookup(host: object, *_: object, **__: object) -> None:
        raise AssertionError(f"a unit test reaches for the network: it looks up {host}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(name))
    monkeypatch.setattr(socket, "getaddrinfo", no_lookup)
