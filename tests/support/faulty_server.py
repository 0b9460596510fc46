"""An HTTP server on loopback that serves files and, on request, every fault that a mirror may have."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class FaultyServer:
    """`files` maps paths to bytes; `faults` maps paths to the behaviours that the next requests meet, in order.

    Behaviours: `wrong`, `cut:N` (close after N bytes), `slow` (a few bytes a second), `silent`, `STATUS`,
    `STATUS:RETRY-AFTER`, `page` (200 and HTML), `endless` (a body without end), `no-range`, `bad-range`,
    `redirect:URL`, `ok`. A behaviour that ends in `…` applies to this and all later requests.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    ranges: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)
    received: threading.Event = field(default_factory=threading.Event)

    def next_fault(self, path: str) -> str:
        queue = self.faults.get(path, [])
        if not queue:
            return "ok"
        return queue[0][:-1] if queue[0].endswith("…") else queue.pop(0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FaultyServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        state = self.state
        state.requests[self.path] += 1
        state.headers.append(dict(self.headers))
        wanted = self.headers.get("Range", "")
        if wanted:
            state.ranges.append(wanted)
        fault, _, argument = state.next_fault(self.path).partition(":")
        content = state.files.get(self.path)
        state.received.set()
        try:
            self._answer(fault, argument, content, wanted)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, fault: str, argument: str, content: bytes | None, wanted: str) -> None:
        if fault == "redirect":
            self._head(302, {"Location": argument, "Content-Length": "0"})
        elif fault.isdigit():
            self._head(int(fault), {"Content-Length": "0", **({"Retry-After": argument} if argument else {})})
        elif fault == "page":
            self._body(200, b"<html>Sorry</html>", {"Content-Type": "text/html; charset=utf-8"})
        elif fault == "silent":
            self.state.stopping.wait(30)
            self.close_connection = True
        elif fault == "endless":
            self._endless()
        elif content is None:
            self._head(404, {"Content-Length": "0"})
        elif fault == "wrong":
            self._body(200, bytes(byte ^ 1 for byte in content))
        else:
            self._file(fault, argument, content, wanted)

    def _file(self, fault: str, argument: str, content: bytes, wanted: str) -> None:
        start = 0
        status, headers = 200, {}
        if wanted and fault != "no-range":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self._head(416, {"Content-Length": "0"})
                return
            told = start - 1 if fault == "bad-range" else start
            status, headers = 206, {"Content-Range": f"bytes {told}-{len(content) - 1}/{len(content)}"}
        body = content[start:]
        if fault == "cut":
            self._head(status, {"Content-Length": str(len(body)), **headers})
            self.wfile.write(body[: int(argument)])
            self.close_connection = True
        elif fault == "slow":
            self._head(status, {"Content-Length": str(len(body)), **headers})
            for index in range(len(body)):
                self.wfile.write(body[index : index + 1])
                self.wfile.flush()
                if self.state.stopping.wait(0.05):
                    break
            self.close_connection = True
        else:
            self._body(status, body, headers)

    def _endless(self) -> None:
        self._head(200, {"Transfer-Encoding": "chunked"})
        until = time.monotonic() + 20
        while not self.state.stopping.is_set() and time.monotonic() < until:
            self.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        self.close_connection = True

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)


@contextmanager
def running(tls: tuple[Path, Path] | None = None) -> Iterator[FaultyServer]:
    """A server on a free port, stopped after the block; with `tls` (certificate and key) it speaks HTTPS."""
    state = FaultyServer()
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    state.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
