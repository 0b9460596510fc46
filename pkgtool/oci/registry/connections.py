"""HTTP exchanges: kept-alive connections per origin, limits on time and size, cancellation, and clean errors.

Errors of the HTTP library hold the request with its Authorization header; they end here. What is raised instead
is made outside of the `except` block, so that it does not drag the original along as its context.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pkgtool import http
from pkgtool.cancel import Cancellation
from pkgtool.errors import ConfigError, Interrupted, PkgtoolError
from pkgtool.oci.registry import trust
from pkgtool.oci.registry.address import is_loopback
from pkgtool.oci.registry.body import Part
from pkgtool.oci.registry.errors import NoSuchHost, RequestFailed, TlsFailure, Unreachable, WrongContent, safe_url
from pkgtool.oci.registry.settings import RegistrySettings

if TYPE_CHECKING:
    import httpx2

_GRACE_SECONDS = 120.0
_DRAINED = 64 * 1024
_SLOWEST = 8 * 1024
"""Bytes per second. A transfer slower than this on the whole (after the grace) counts as hung."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; its repr shows no header."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | Part | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        return self.body.size if isinstance(self.body, Part) else len(self.body or b"")

    def __str__(self) -> str:
        return f"{self.method} {safe_url(self.url)}"


def origin(url: str) -> str:
    """Scheme, host and port: what credentials belong to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class Answer:
    """A response whose body is still to be read, within limits. Use it as a context: it frees the connection."""

    def __init__(self, request: Request, response: httpx2.Response, cancel: Cancellation) -> None:
        self.request = request
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._cancel = cancel

    def pieces(self, limit: int) -> Iterator[bytes]:
        """The body. Raises `WrongContent` if it is longer than `limit` bytes, `Unreachable` if it breaks off."""
        import httpx2

        deadline = time.monotonic() + _GRACE_SECONDS + limit / _SLOWEST
        count = 0
        try:
            for piece in self._response.iter_raw():
                count += len(piece)
                if count > limit:
                    raise WrongContent(f"{self.request} gave more than the {limit} bytes it may have")
                if time.monotonic() > deadline:
                    raise Unreachable(f"{self.request} is too slow: {count} bytes in {_GRACE_SECONDS:g} s and more")
                self._cancel.check()
                yield piece
        except (httpx2.HTTPError, httpx2.StreamError) as problem:
            failure = _failure(self.request, problem, self._cancel)
        else:
            return
        raise failure

    def read(self, limit: int) -> bytes:
        """The whole body, which must be small."""
        return b"".join(self.pieces(limit))

    def drain(self) -> None:
        """Drop a small body that nobody needs, so that the connection can be used again."""
        with contextlib.suppress(RequestFailed):
            for _ in self.pieces(_DRAINED):
                pass
        self.close()

    def close(self) -> None:
        """Free the connection; one whose body was not read to its end is closed."""
        with contextlib.suppress(Exception):
            self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Connections:
    """Clients, one per origin, each with its own trust. Cancelling breaks every open connection at once."""

    def __init__(self, settings: RegistrySettings, cancel: Cancellation) -> None:
        self._settings = settings
        self._cancel = cancel
        self._lock = threading.Lock()
        self._clients: dict[str, httpx2.Client] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._registration = cancel.on_request(self._break)
        self._registration.__enter__()

    def open(self, request: Request) -> Answer:
        """Send a request and read the head of its answer.

        Raises `Unreachable`, `NoSuchHost`, `TlsFailure`, `Interrupted`.
        """
        import httpx2

        self._cancel.check()
        client = self._client(origin(request.url))
        headers = {"Accept-Encoding": "identity", **request.headers}
        content: bytes | Iterator[bytes] | None = request.body if not isinstance(request.body, Part) else None
        if isinstance(request.body, Part):
            headers["Content-Length"] = str(request.body.size)
            content = self._paced(request, request.body)
        try:
            built = client.build_request(
                request.method, request.url, headers=headers, content=content, extensions={"trace": self._trace}
            )
            return Answer(request, client.send(built, stream=True), self._cancel)
        except (httpx2.HTTPError, httpx2.InvalidURL, RuntimeError) as problem:
            failure = _failure(request, problem, self._cancel)
        raise failure

    def close(self) -> None:
        self._registration.__exit__(None, None, None)
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _paced(self, request: Request, body: Part) -> Iterator[bytes]:
        deadline = time.monotonic() + _GRACE_SECONDS + body.size / _SLOWEST
        for piece in body.pieces():
            self._cancel.check()
            if time.monotonic() > deadline:
                raise Unreachable(f"{request} is too slow: {body.size} bytes are not sent yet")
            yield piece

    def _client(self, place: str) -> httpx2.Client:
        with self._lock:
            if place not in self._clients:
                self._clients[place] = self._new_client(place)
            return self._clients[place]

    def _new_client(self, place: str) -> httpx2.Client:
        import httpx2

        scheme, _, host = place.partition("://")
        certificates = self._settings.certificates
        try:
            return http.client(
                trust=trust.context(host, certificates) if scheme == "https" else trust.nothing(),
                # As everywhere in Go's world: what is on this machine is never reached through a proxy.
                trust_env=not is_loopback(host),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
                timeout=httpx2.Timeout(self._settings.read_seconds, connect=self._settings.connect_seconds),
            )
        except (ValueError, httpx2.InvalidURL):
            pass  # only a proxy's URL can be wrong here, and it may hold a password
        raise ConfigError("a proxy variable in the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) is not a URL")

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            found = info["return_value"].get_extra_info("socket")
            if found is not None:
                self._sockets.add(found)
            if self._cancel.requested:
                self._break()

    def _break(self) -> None:
        for found in list(self._sockets):
            with contextlib.suppress(OSError):
                # The plain socket's method: SSLSocket's own would take the TLS state from under its reader.
                socket.socket.shutdown(found, socket.SHUT_RDWR)


def _failure(request: Request, problem: BaseException, cancel: Cancellation) -> PkgtoolError:
    import httpx2

    if cancel.requested:
        return Interrupted()
    host = urlsplit(request.url).netloc.rpartition("@")[2]
    root = _root(problem)
    if isinstance(root, ssl.SSLError) and not isinstance(root, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _tls_failure(host, root)
    if isinstance(root, socket.gaierror):
        return NoSuchHost(f"{host} is unknown: {root.strerror}", hint="check the registry's name, and that DNS answers")
    if isinstance(problem, httpx2.TimeoutException):
        return Unreachable(f"{request} got no answer in time", hint=f"check that {host} is up and can be reached")
    if isinstance(problem, httpx2.ProxyError):
        return Unreachable(f"the proxy before {host} refused", hint="check HTTPS_PROXY and NO_PROXY in the environment")
    if isinstance(problem, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return WrongContent(f"{host} named a place that is not a URL")
    if isinstance(problem, httpx2.ConnectError):
        why = getattr(root, "strerror", None) or "no connection"
        return Unreachable(f"{host} can't be reached: {why}", hint=f"check that a registry answers at {host}")
    why = getattr(root, "strerror", None) or "the connection broke"
    return Unreachable(f"{request} failed: {why}", hint="run the same command again; what is there stays")


def _root(problem: BaseException) -> BaseException:
    """The first cause that the operating system or OpenSSL gave."""
    seen: BaseException | None = problem
    for _ in range(8):
        if isinstance(seen, OSError) or seen is None:
            break
        seen = seen.__cause__ or seen.__context__
    return seen if isinstance(seen, OSError) else problem


def _tls_failure(host: str, problem: ssl.SSLError) -> TlsFailure:
    reason = problem.reason or ""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return TlsFailure(
            f"the certificate of {host} is not trusted: {problem.verify_message}",
            hint=f"put its authority's certificate at /etc/docker/certs.d/{host}/ca.crt",
        )
    if "CERTIFICATE" in reason or "HANDSHAKE_FAILURE" in reason:
        return TlsFailure(
            f"{host} refused our side of the TLS handshake ({reason})",
            hint=f"if it wants a client certificate: /etc/docker/certs.d/{host}/client.cert and client.key",
        )
    return TlsFailure(
        f"{host} does not speak TLS as it should ({reason or 'handshake failed'})",
        hint=f"if it is meant to be without TLS, name {host} under insecure-registries in pkgtool.yml",
        untrusted=False,
    )
