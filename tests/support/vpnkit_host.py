"""The host's side of VPNKit's port forwarding, as far as a test needs it: connections through one multiplexed one.

The protocol is that of github.com/moby/vpnkit, go/pkg/libproxy (frame.go, handshake.go, multiplexed.go): numbers are
little-endian; a frame is its length, a command, the number of a connection, and what belongs to the command.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

_MAGIC = b"https://github.com/moby/vpnkit multiplexer protocol\n"
_OPEN, _CLOSE, _SHUTDOWN, _DATA, _WINDOW = 1, 2, 3, 4, 5
_MULTIPLEXED = 2
_TCP, _UDP, _UNIX = 1, 2, 3
_ENOUGH = 1 << 20


def tcp(address: str, port: int) -> bytes:
    """A destination: a TCP service, as the forwarder reaches it."""
    return _internet(_TCP, address, port)


def udp(address: str, port: int) -> bytes:
    """A destination: a UDP service."""
    return _internet(_UDP, address, port)


def unix(path: str) -> bytes:
    """A destination: a Unix socket inside the forwarder's container."""
    return struct.pack("<BH", _UNIX, len(path)) + path.encode()


def _internet(protocol: int, address: str, port: int) -> bytes:
    raw = ipaddress.ip_address(address).packed
    return struct.pack("<BH", protocol, len(raw)) + raw + struct.pack("<H", port)


@dataclass(slots=True)
class Forwarding:
    """A data connection to a forwarder."""

    connection: socket.socket
    _last: int = 0
    _received: dict[int, bytes] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.connection.sendall(_MAGIC + struct.pack("<H", 0))
        assert self._exactly(len(_MAGIC)) == _MAGIC
        self._exactly(*struct.unpack("<H", self._exactly(2)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def open(self, destination: bytes) -> int:
        """Have a connection opened; answers its number."""
        self._last += 1
        self._received[self._last] = b""
        self._send(_OPEN, self._last, struct.pack("<b", _MULTIPLEXED) + destination)
        self._send(_WINDOW, self._last, struct.pack("<Q", _ENOUGH))
        return self._last

    def write(self, number: int, content: bytes) -> None:
        self._send(_DATA, number, struct.pack("<I", len(content)))
        self.connection.sendall(content)

    def end_writing(self, number: int) -> None:
        self._send(_SHUTDOWN, number, b"")

    def read_to_end(self, number: int) -> bytes:
        """All that comes until the other side is done."""
        while number not in self._ended:
            self._take()
        return self._received[number]

    def read(self, number: int, size: int) -> bytes:
        """At least so many bytes."""
        while len(self._received[number]) < size:
            assert number not in self._ended, f"only {self._received[number]!r} came"
            self._take()
        return self._received[number]

    def _send(self, command: int, number: int, rest: bytes) -> None:
        self.connection.sendall(struct.pack("<HbI", 7 + len(rest), command, number) + rest)

    def _take(self) -> None:
        length, command, number = struct.unpack("<HbI", self._exactly(7))
        rest = self._exactly(length - 7)
        if command == _DATA:
            self._received[number] += self._exactly(*struct.unpack("<I", rest))
        elif command in (_CLOSE, _SHUTDOWN):
            self._ended.add(number)

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            more = self.connection.recv(size - len(content))
            assert more, "the forwarder hung up"
            content += more
        return content


def datagram(content: bytes) -> bytes:
    """A UDP datagram in the stream, without address, port and zone (udp_encapsulation.go)."""
    return struct.pack("<HHHHH", 10 + len(content), 0, 0, 0, len(content)) + content
