"""Calls to a worker: gRPC over TLS, a Unix socket or a program that carries the connection.

Requests and answers are bytes here; wire.py reads and writes them. grpcio is imported when a channel is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pkgtool.engines.buildkit import trust as tls
from pkgtool.engines.buildkit.tunnel import Tunnel, command
from pkgtool.engines.interface import EngineLost
from pkgtool.errors import EngineError
from pkgtool.nodes import Endpoint, Trust

if TYPE_CHECKING:
    import grpc

CONTROL = "/moby.buildkit.v1.Control/"
OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
_CALL_SECONDS = 20.0


class Channel:
    """An open way to one worker."""

    def __init__(self, endpoint: Endpoint, trust: Trust) -> None:
        """Raises `EngineLost` if it can't be reached, `EngineError` if one side doesn't trust the other."""
        self._endpoint = endpoint
        carrier = command(endpoint)
        self._tunnel = Tunnel(carrier) if carrier else None
        if carrier is None:
            tls.check(endpoint, trust)
        self._channel = _open(endpoint, trust, self._tunnel)

    def close(self) -> None:
        """Hang up; calls that still run end."""
        self._channel.close()
        if self._tunnel:
            self._tunnel.close()

    def call(self, method: str, request: bytes = b"", *, seconds: float = _CALL_SECONDS) -> bytes:
        """One question, one answer. Raises `EngineLost` or `EngineError`."""
        import grpc

        ask: Any = self._channel.unary_unary(CONTROL + method)
        try:
            answer: bytes = ask(request, timeout=seconds)
        except grpc.RpcError as problem:
            raise self.failure(problem) from problem
        return answer

    def start(self, method: str, request: bytes) -> Any:
        """A question whose answer takes its time: gRPC's future of it."""
        ask: Any = self._channel.unary_unary(CONTROL + method)
        return ask.future(request)

    def receive(self, method: str, request: bytes) -> Any:
        """A question with a stream of answers: gRPC's iterator over them, which can be cancelled."""
        ask: Any = self._channel.unary_stream(CONTROL + method)
        return ask(request)

    def exchange(self, method: str, requests: Iterator[bytes], metadata: Sequence[tuple[str, str]]) -> Any:
        """Streams in both directions: gRPC's iterator over the answers."""
        ask: Any = self._channel.stream_stream(CONTROL + method)
        return ask(requests, metadata=metadata)

    def failure(self, problem: grpc.RpcError) -> EngineError:
        """What a failed call means: `EngineLost` if the worker has gone, else a plain `EngineError`."""
        import grpc

        code, said = problem.code(), problem.details() or ""
        complaint = self._tunnel.complaint() if self._tunnel else ""
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
            return EngineLost(f"{self._endpoint} went away: {complaint or said}")
        return EngineError(f"{self._endpoint} answers: {said} ({code.name.lower()})")


def _open(endpoint: Endpoint, trust: Trust, tunnel: Tunnel | None) -> grpc.Channel:
    # What can go wrong is reported as errors; the library's own messages would only stand in between.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    if tunnel:
        return grpc.insecure_channel(f"unix:{tunnel.address}", options=OPTIONS)
    if endpoint.scheme == "unix":
        return grpc.insecure_channel(f"unix:{endpoint.path}", options=OPTIONS)
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    target = f"dns:///{host}:{endpoint.port}"
    if not endpoint.encrypted:
        return grpc.insecure_channel(target, options=OPTIONS)
    own = tls.read(trust.certificate) if trust.certificate else None
    credentials = grpc.ssl_channel_credentials(
        tls.read(trust.ca), tls.read(trust.key or trust.certificate) if own else None, own
    )
    options = [*OPTIONS, *([("grpc.ssl_target_name_override", trust.server_name)] if trust.server_name else [])]
    return grpc.secure_channel(target, credentials, options=options)
