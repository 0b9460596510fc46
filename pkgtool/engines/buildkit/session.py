"""BuildKit's session: the worker calls us back, through a stream of the connection that we opened.

The stream's messages are pieces of a second gRPC connection on which we are the server (BuildKit, session/grpc.go).
Our server listens on a socket in a directory of our own, and two threads carry bytes between it and the stream.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pkgtool.engines.buildkit.channel import OPTIONS, Channel
from pkgtool.engines.buildkit.services import Methods
from pkgtool.engines.buildkit.wire import Message, message
from pkgtool.engines.interface import EngineLost

SILENCE_SECONDS = 60.0
"""A worker asks every few seconds whether we live; after this long without a word, it does not live itself."""

_PIECE = 1 << 17
_CALLS_AT_ONCE = 32


class Session:
    """An open session. `id` is how a build names it."""

    def __init__(self, channel: Channel, services: Mapping[str, Methods]) -> None:
        import grpc

        self.id = uuid.uuid4().hex
        self._heard = time.monotonic()
        self._closing = False
        self._ended = ""
        self._directory = tempfile.mkdtemp(prefix="pkgtool-session-")
        self._server = grpc.server(
            ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="pkgtool-session"),
            handlers=[grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()],
            options=OPTIONS,
        )
        address = os.path.join(self._directory, "socket")
        self._server.add_insecure_port(f"unix:{address}")
        self._server.start()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        offered = [f"/{name}/{method}" for name, methods in services.items() for method in methods]
        metadata = [
            ("x-docker-expose-session-uuid", self.id),
            ("x-docker-expose-session-name", "pkgtool"),
            *(("x-docker-expose-session-grpc-method", method) for method in offered),
        ]
        self._stream = channel.exchange("Session", self._outgoing(), metadata)
        self._thread = threading.Thread(target=self._incoming, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises `EngineLost` if the worker has ended the session or has been silent for too long."""
        silent = time.monotonic() - self._heard
        if self._ended:
            raise EngineLost(self._ended)
        if silent > SILENCE_SECONDS:
            raise EngineLost(f"it has not been heard of for {silent:.0f} s")

    def close(self) -> None:
        """End it; calls that still run are cut off."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._stream.cancel()
        self._thread.join()
        self._socket.close()
        self._server.stop(grace=None).wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _outgoing(self) -> Iterator[bytes]:
        """What our server says, as the stream's messages."""
        while not self._closing:
            try:
                piece = self._socket.recv(_PIECE)
            except OSError:
                return
            if not piece:
                return
            yield message((1, piece))

    def _incoming(self) -> None:
        """The stream's messages, to our server."""
        import grpc

        why = "it has ended the session"
        try:
            for raw in self._stream:
                self._heard = time.monotonic()
                self._socket.sendall(Message(raw).content(1))
        except grpc.RpcError as problem:
            why = _details(problem) or why
        except (OSError, ValueError) as problem:
            why = f"the session broke: {problem}"
        if not self._closing:
            self._ended = why
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _details(problem: Any) -> str:
    return str(problem.details() or "")
