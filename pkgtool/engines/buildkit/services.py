"""What a worker may call during a build, through the session: nothing but these few methods is offered to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgtool.engines.buildkit import content
from pkgtool.engines.buildkit.wire import Message, message
from pkgtool.errors import PkgtoolError

if TYPE_CHECKING:
    import grpc

CONTEXT_URL = "https://buildkit-session/"
"""Where BuildKit finds a context that its client uploads (source/http, session/upload).

What follows must differ from build to build: BuildKit takes equal addresses in builds at the same time for one source.
"""

_UPLOAD = "moby.upload.v1.Upload"
_AUTH = "moby.filesync.v1.Auth"
_HEALTH = "grpc.health.v1.Health"
_SERVING = 1
_CHUNK = 1 << 20

Methods = dict[str, "grpc.RpcMethodHandler[Any, Any]"]
Login = Callable[[str], tuple[str, str]]
"""User name and secret for a registry's host, empty if there are none."""


def services(context: Path, exchange: content.Exchange, login: Login) -> dict[str, Methods]:
    """The services of one build by name: its context (a tar file), its content, credentials, a sign of life."""
    import grpc

    def pull(_requests: Iterator[bytes], _call: grpc.ServicerContext) -> Iterator[bytes]:
        with context.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield message((1, chunk))

    def credentials(request: bytes, call: grpc.ServicerContext) -> bytes:
        try:
            user, secret = login(Message(request).text(1))
        except PkgtoolError as problem:
            call.abort(grpc.StatusCode.UNAVAILABLE, problem.message)
        return message((1, user), (2, secret))

    def check(_request: bytes, _call: grpc.ServicerContext) -> bytes:
        return message((1, _SERVING))

    return {
        _UPLOAD: {"Pull": grpc.stream_stream_rpc_method_handler(pull)},
        _AUTH: {"Credentials": grpc.unary_unary_rpc_method_handler(credentials)},
        _HEALTH: {"Check": grpc.unary_unary_rpc_method_handler(check)},
        content.SERVICE: {
            "Info": grpc.unary_unary_rpc_method_handler(exchange.info),
            "Read": grpc.unary_stream_rpc_method_handler(exchange.read),
            "Write": grpc.stream_stream_rpc_method_handler(exchange.write),
        },
    }
