"""A proxy before a registry that does, at random under a seed, what networks and registries do on bad days."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = (
    "reset-before",
    "reset-after",
    "cut-request",
    "truncate",
    "delay",
    "429",
    "500",
    "502",
    "503",
    "wrong-digest",
    "wrong-length",
    "endless",
    "page",
)
_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"))


@dataclass
class Weather:
    """Which faults happen, and how often; `done` counts them."""

    upstream: str
    seed: int = 0
    rate: float = 0.0
    faults: tuple[str, ...] = FAULTS
    delay: float = 0.05
    done: Counter[str] = field(default_factory=Counter)
    received: int = 0
    """Bytes of bodies that arrived from clients."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def next(self) -> str:
        with self.lock:
            if self.random.random() >= self.rate:
                return ""
            fault = self.random.choice(self.faults)
            self.done[fault] += 1
            return fault


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    content: bytes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    weather: Weather

    def log_message(self, *args: object) -> None: ...

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ValueError, http.client.HTTPException):
            self.close_connection = True

    def serve(self) -> None:
        fault = self.weather.next()
        size = int(self.headers.get("Content-Length") or 0)
        if fault == "reset-before":
            self.reset()
            return
        if fault == "delay":
            time.sleep(self.weather.delay)
        if fault == "cut-request":
            self.forward(self.rfile.read(size // 2), size)
            self.reset()
            return
        body = self.receive(size)
        if len(body) < size:  # the client is gone: as a proxy that buffers, it keeps a broken request to itself
            self.reset()
            return
        if fault in ("429", "500", "502", "503"):
            retry = [("Retry-After", "0")] if fault in ("429", "503") else []
            self.send(Answer(int(fault), [*retry, ("Content-Type", "text/html")], b"<html>busy</html>"))
        elif fault == "page":
            self.send(Answer(200, [("Content-Type", "text/html")], b"<!doctype html><html>Log in</html>"))
        elif fault == "endless":
            self.endless()
        else:
            answer = self.forward(body, size)
            if answer is None or fault == "reset-after":
                self.reset()
            else:
                self.send(answer, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve

    def receive(self, size: int) -> bytes:
        body = bytearray()
        while len(body) < size and (piece := self.rfile.read1(min(size - len(body), 1 << 20))):
            body += piece
            with self.weather.lock:
                self.weather.received += len(piece)
        return bytes(body)

    def forward(self, body: bytes, size: int) -> Answer | None:
        connection = http.client.HTTPConnection(self.weather.upstream, timeout=10)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "content-length"):
                    connection.putheader(name, value)
            if size or self.command in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(size))
            connection.endheaders(body)
            if len(body) < size:
                return None
            response = connection.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP]
            length = response.getheader("Content-Length")
            if self.command == "HEAD" and length:
                headers.append(("Content-Length", length))
            return Answer(response.status, headers, response.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def send(self, answer: Answer, fault: str = "") -> None:
        self.send_response(answer.status)
        length = len(answer.content)
        for name, value in answer.headers:
            lied = fault == "wrong-digest" and name.lower() == "docker-content-digest"
            self.send_header(name, f"sha256:{'0' * 64}" if lied else value)
        if not any(name.lower() == "content-length" for name, _ in answer.headers):
            shown = length + (self.weather.random.choice((-1, 7)) if fault == "wrong-length" and length else 0)
            self.send_header("Content-Length", str(shown))
        self.end_headers()
        if self.command != "HEAD":
            content = answer.content[: length // 2] if fault == "truncate" else answer.content
            self.wfile.write(content)
        if fault in ("truncate", "wrong-length"):
            self.reset()

    def endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Content-Type", "application/vnd.oci.image.index.v1+json")
        self.end_headers()
        while self.command != "HEAD":
            self.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")

    def reset(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None: ...


@contextmanager
def proxying(weather: Weather) -> Iterator[str]:
    """Run the proxy; its host and port."""
    server = _Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"weather": weather}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
