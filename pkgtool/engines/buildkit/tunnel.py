"""Connections that a program carries: `ssh`, `kubectl` or `docker` starts `buildctl dial-stdio` beside the worker.

gRPC wants an address. It gets a socket in a directory of our own; each connection to it becomes the standard input
and output of one such program.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult

from pkgtool import process
from pkgtool.engines.buildkit.trust import CONNECT_SECONDS
from pkgtool.errors import PkgtoolError
from pkgtool.nodes import Endpoint

_WHY = "reach a remote builder"
_COMPLAINT_LINES = 5
_LAST_WORDS_SECONDS = 1.0
_DIAL = ("buildctl", "dial-stdio")


def command(endpoint: Endpoint) -> list[str] | None:
    """The command line that carries a connection to an endpoint; None if it needs none."""
    if endpoint.scheme == "ssh":
        return _ssh(endpoint.host, endpoint.port, endpoint.user, _dial(endpoint.path))
    if endpoint.scheme == "kube-pod":
        given = endpoint.options
        where = [f"--{name}={given[name]}" for name in ("kubeconfig", "context", "namespace") if given.get(name)]
        inside = [f"--container={given['container']}"] if given.get("container") else []
        pod = f"{endpoint.host}{endpoint.path}"  # or what has pods: deployment/NAME
        return ["kubectl", *where, "exec", "--stdin", *inside, pod, "--", *_DIAL]
    if endpoint.scheme == "docker-container":
        given = endpoint.options
        where = [f"--{name}={given[name]}" for name in ("host", "context") if given.get(name)]
        return ["docker", *where, "exec", "--interactive", endpoint.host, *_DIAL]
    return None


def ssh_command(address: SplitResult, remote: Sequence[str]) -> list[str]:
    """The command line that starts a program on the host of an ssh:// address."""
    return _ssh(address.hostname or "", address.port or 0, address.username or "", remote)


def _ssh(host: str, port: int, user: str, remote: Sequence[str]) -> list[str]:
    # Without a terminal, a question would be a hang.
    options = ["-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS:.0f}"]
    where = [*(["-p", str(port)] if port else []), *(["-l", user] if user else [])]
    return ["ssh", *options, *where, "--", host, *remote]


def _dial(path: str) -> list[str]:
    return ["buildctl", "--addr", f"unix://{path}", "dial-stdio"] if path.strip("/") else list(_DIAL)


class Tunnel:
    """A socket at `address` whose connections a program carries; `complaint()` is the end of what it said."""

    def __init__(self, argv: list[str]) -> None:
        self._argv = argv
        self._directory = tempfile.mkdtemp(prefix="pkgtool-tunnel-")  # a socket's path must stay below 108 bytes
        self.address = os.path.join(self._directory, "socket")
        self._said: deque[str] = deque(maxlen=_COMPLAINT_LINES)
        self._ends: list[Callable[[], None]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def complaint(self) -> str:
        """What the program said, now that the connection is broken: its last words may arrive a moment later."""
        end = time.monotonic() + _LAST_WORDS_SECONDS
        while not self._said and time.monotonic() < end:
            time.sleep(0.02)
        return "; ".join(filter(None, self._said))

    def close(self) -> None:
        """End the programs and remove the socket."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for end in self._ends:
            end()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._ends.append(
                        process.start(self._argv, why=_WHY, stream=connection, on_complaint=self._said.append)
                    )
                except PkgtoolError as problem:
                    self._said.append(problem.message)
