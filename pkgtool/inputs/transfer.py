"""One attempt to bring bytes from one place into a partial file.

Schemes: `http`, `https`, `file`; `git+…` and `go+direct` come from the modules that know them and are handed
in. An attempt ends well, or with `Temporary` (the same place may answer later), or with `Unusable` (it won't).
Whether the bytes are right is not judged here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from pkgtool.cancel import Cancellation
from pkgtool.errors import Interrupted
from pkgtool.http import CONNECT_SECONDS
from pkgtool.inputs.artifact import shown_url
from pkgtool.inputs.partial import Partial
from pkgtool.oci.files import CHUNK
from pkgtool.oci.store import Store

if TYPE_CHECKING:
    import httpx2

_TEMPORARY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to be patient. Times in seconds, speeds in bytes per second."""

    attempts: int = 4
    silence: float = 30.0
    first_wait: float = 0.5
    longest_wait: float = 60.0
    minimum_speed: float = 2048.0
    speed_window: float = 20.0


class Unusable(Exception):
    """This place does not have the bytes; `gone` if it says that it never will (404, 410, a missing file)."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.gone = gone


class Temporary(Exception):
    """The place could not serve now; `retry_after` is the wait in seconds that it asks for."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class NoConnection(Temporary):
    """The place's host could not be reached at all, so nothing else that lies there can be."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """All that an attempt needs. `size` is the number of bytes the lock says, or None while a lock is made."""

    url: str
    partial: Partial
    size: int | None
    limits: Limits
    cancel: Cancellation
    store: Store
    on_bytes: Callable[[int], None]

    def receive(self, content: bytes) -> None:
        """Append to the partial file. Raises `Unusable` as soon as there is more than the lock says."""
        self.cancel.check()
        if self.size is not None and self.partial.size + len(content) > self.size:
            self.partial.restart()
            raise Unusable(f"sent more than the {self.size} bytes the lock says")
        self.partial.write(content)
        self.on_bytes(self.partial.size)


def from_file(attempt: Attempt) -> None:
    """Copy a `file:` URL."""
    path = Path(unquote(urlsplit(attempt.url).path))
    attempt.partial.restart()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                attempt.receive(chunk)
    except FileNotFoundError as error:
        raise Unusable("there is no such file", gone=True) from error
    except OSError as error:
        raise Unusable(f"can't be read: {error.strerror}") from error


def from_http(attempt: Attempt, client: httpx2.Client) -> None:
    """GET with Range where a partial file exists, following redirects, watching speed and size."""
    import httpx2

    try:
        with _response(attempt, client) as response:
            _check_status(response, attempt)
            _position(response, attempt)
            _check_announced(response, attempt)
            _receive_body(response, attempt)
    except httpx2.ConnectTimeout as error:
        raise NoConnection("no connection: no answer in time") from error
    except httpx2.TimeoutException as error:
        raise Temporary("did not answer in time") from error
    except (httpx2.TransportError, httpx2.StreamError) as error:
        attempt.cancel.check()
        if attempt.partial.size:
            raise Temporary(f"broke off after {attempt.partial.size} bytes") from error
        told = f"no connection: {str(error) or type(error).__name__}"
        raise (NoConnection if isinstance(error, httpx2.ConnectError) else Temporary)(told) from error
    except httpx2.InvalidURL as error:
        raise Unusable(f"not a usable URL: {error}") from error
    if attempt.size is not None and attempt.partial.size < attempt.size:
        raise Temporary(f"ended after {attempt.partial.size} of {attempt.size} bytes")


@contextlib.contextmanager
def _response(attempt: Attempt, client: httpx2.Client) -> Iterator[httpx2.Response]:
    """The answer after redirects. Each hop is a new request, so no credential of one host reaches another."""
    import httpx2

    url = attempt.url
    patience = httpx2.Timeout(attempt.limits.silence, connect=CONNECT_SECONDS)
    headers = {"Accept-Encoding": "identity"}
    if attempt.partial.size:
        headers["Range"] = f"bytes={attempt.partial.size}-"
    for _ in range(_MAX_REDIRECTS + 1):
        request = client.stream("GET", url, headers=headers, timeout=patience)
        with request as response, _ended_by(attempt.cancel, response):
            if response.status_code not in _REDIRECTS:
                yield response
                return
            url = _redirect(url, response.headers.get("location", ""))
    raise Unusable(f"redirects more than {_MAX_REDIRECTS} times")


def _redirect(url: str, location: str) -> str:
    target = urljoin(url, location)
    old, new = urlsplit(url).scheme, urlsplit(target).scheme
    if not location or new not in ("http", "https"):
        raise Unusable(f"redirects to {shown_url(target) if location else 'nowhere'}")
    if (old, new) == ("https", "http"):
        raise Unusable(f"redirects from https to {shown_url(target)}")
    return target


@contextlib.contextmanager
def _ended_by(cancel: Cancellation, response: httpx2.Response) -> Iterator[None]:
    """Let a cancellation wake a thread that waits for the network, by shutting its socket down."""
    import socket

    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream else None

    def shut() -> None:
        if isinstance(found, socket.socket):
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    with cancel.on_request(shut):
        yield


def _check_status(response: httpx2.Response, attempt: Attempt) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    told = f"answered {status} {response.reason_phrase}".rstrip()
    if status == 416:
        attempt.partial.restart()
        raise Temporary(told)
    if status in _TEMPORARY_STATUS:
        raise Temporary(told, retry_after=retry_after(response.headers.get("retry-after", "")))
    raise Unusable(told, gone=status in (404, 410))


def retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, a number or a date (RFC 9110, 10.2.3); None if it says nothing usable."""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _position(response: httpx2.Response, attempt: Attempt) -> None:
    """Go on at the end of the partial file, or from the start where the server sends everything again."""
    if not attempt.partial.size:
        return
    start = f"bytes {attempt.partial.size}-"
    if response.status_code != 206 or not response.headers.get("content-range", "").startswith(start):
        attempt.partial.restart()
        if response.status_code == 206:
            raise Temporary("sent another part of the file than was asked for")


def _check_announced(response: httpx2.Response, attempt: Attempt) -> None:
    """Refuse before the first byte what can't be right: a web page, or another size than the lock says."""
    length = response.headers.get("content-length", "")
    announced = attempt.partial.size + int(length) if length.isascii() and length.isdigit() else None
    page = response.headers.get("content-type", "").startswith("text/html")
    asked_for_page = urlsplit(attempt.url).path.endswith((".html", ".htm"))
    if page and not asked_for_page and not (announced is not None and announced == attempt.size):
        raise Unusable("answered with a web page instead of the file")
    if attempt.size is not None and announced is not None and announced != attempt.size:
        if attempt.partial.size:
            attempt.partial.restart()
            raise Temporary("the file has another size than when its download began")
        raise Unusable(f"has {announced} bytes, the lock says {attempt.size}")


def _receive_body(response: httpx2.Response, attempt: Attempt) -> None:
    limits = attempt.limits
    window_start, window_bytes = time.monotonic(), 0
    for chunk in response.iter_raw():
        attempt.receive(chunk)
        window_bytes += len(chunk)
        elapsed = time.monotonic() - window_start
        if elapsed >= limits.speed_window:
            speed = window_bytes / elapsed
            if speed < limits.minimum_speed:
                raise Unusable(f"too slow: {speed:.0f} bytes/s, less than {limits.minimum_speed:.0f}")
            window_start, window_bytes = time.monotonic(), 0
    if attempt.cancel.requested:
        raise Interrupted()
