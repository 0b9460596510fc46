"""Lets an engine in a network namespace of its own reach a registry of this one, under the same port.

Sockets with a path cross network namespaces. A forwarder inside the engine's namespace listens on the registry's
port, at an address of loopback or at one that only that namespace has, and leads each connection through such a socket
to a forwarder out here, which connects to the registry. As a program (`python bridge.py ADDRESS PORT SOCKET`) this file
is the one inside.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def reaching(address: str, pid: int, directory: Path, *, there: str = "127.0.0.1") -> Iterator[str]:
    """While the block runs, `address` (127.0.0.1:PORT) can be reached from the network namespace of process `pid`.

    It is given the IPv4 address `there` in that namespace; what is yielded is that with the port.
    """
    host, _, port = address.partition(":")
    path = directory / f"bridge-{pid}-{port}"
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net", "--"]
    subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
    if not there.startswith("127."):
        subprocess.run([*inside, "ip", "address", "replace", f"{there}/32", "dev", "lo"], check=True)
    with socket.socket(socket.AF_UNIX) as out:
        out.bind(str(path))
        out.listen(64)
        threading.Thread(target=_serve, args=(out, lambda: _tcp(host, int(port))), daemon=True).start()
        command = [*inside, sys.executable, __file__, there, port, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as forwarder:
            try:
                assert forwarder.stdout
                assert forwarder.stdout.readline() == b"ready\n"
                yield f"{there}:{port}"
            finally:
                forwarder.kill()
        with contextlib.suppress(OSError):
            out.shutdown(socket.SHUT_RDWR)


def _tcp(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port))


def _unix(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


def _serve(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    while True:
        try:
            here, _ = listener.accept()
        except OSError:
            return
        try:
            there = connect()
        except OSError:
            here.close()
            continue
        threading.Thread(target=_join, args=(here, there), daemon=True).start()


def _join(here: socket.socket, there: socket.socket) -> None:
    """Both directions, until both have ended."""
    back = threading.Thread(target=_pump, args=(there, here), daemon=True)
    back.start()
    _pump(here, there)
    back.join()
    here.close()
    there.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def main() -> None:
    """The forwarder inside."""
    address, port, path = sys.argv[1:]
    with socket.create_server((address, int(port)), backlog=64) as listener:
        print("ready", flush=True)
        _serve(listener, lambda: _unix(path))


if __name__ == "__main__":
    main()
