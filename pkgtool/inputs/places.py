"""All attempts at one place: which transport its URL means, what is tried again, and what counts as right."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pkgtool import http
from pkgtool.cancel import Cancellation
from pkgtool.inputs.artifact import shown_url
from pkgtool.inputs.lock import Content
from pkgtool.inputs.partial import Partial
from pkgtool.inputs.transfer import Attempt, Limits, NoConnection, Temporary, Unusable, from_file, from_http
from pkgtool.oci.store import Store

if TYPE_CHECKING:
    import httpx2
    from tenacity import RetryCallState


_REST_SECONDS = 30.0
"""How long a host that could not be reached is left alone: of a hundred inputs, not each finds that out anew."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one place did not serve; `gone` if it says that it never will.

    `unreachable` is that its host was; `known` that another attempt has told this a moment ago.
    """

    url: str
    reason: str
    gone: bool
    unreachable: bool = False
    known: bool = False

    @property
    def host(self) -> str:
        """Host and port of the place, without user and password."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def __str__(self) -> str:
        return f"{shown_url(self.url)}: {self.reason}"


class Places:
    """Tries places one at a time, from many threads; connections are shared. `close` ends them."""

    def __init__(self, store: Store, limits: Limits, cancel: Cancellation) -> None:
        self._store = store
        self._limits = limits
        self._cancel = cancel
        self._guard = threading.Lock()
        self._client: httpx2.Client | None = None
        self._left: dict[str, tuple[float, str]] = {}
        """Hosts that can't be reached: until when they are left alone, and why."""

    def close(self) -> None:
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None

    def serve(
        self, url: str, partial: Partial, content: Content | None, on_bytes: Callable[[int], None]
    ) -> Failure | None:
        """Complete `partial` from `url`. None is success; with `content` it means that the bytes are right.

        Only temporary failures are tried again, as often as the limits say, at the intervals that the server asks
        for or at random ones that grow. `on_bytes` is told the size reached. Raises `Interrupted`.
        """
        import tenacity

        if left := self._known_unreachable(url):
            return left
        partial.inherited = partial.size
        attempt = Attempt(
            url=url,
            partial=partial,
            size=content.size if content else None,
            limits=self._limits,
            cancel=self._cancel,
            store=self._store,
            on_bytes=on_bytes,
        )
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._limits.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(Temporary),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            retrying(self._once, attempt, content)
        except Temporary as problem:
            reason = f"{problem.reason} ({self._limits.attempts} attempts)"
            failure = Failure(url, reason, gone=False, unreachable=isinstance(problem, NoConnection))
            if failure.unreachable:
                known = self._known_unreachable(url) is not None
                with self._guard:
                    self._left[failure.host] = (time.monotonic() + _REST_SECONDS, reason)
                return replace(failure, known=known)
            return failure
        except Unusable as problem:
            return Failure(url, problem.reason, gone=problem.gone)
        return None

    def _known_unreachable(self, url: str) -> Failure | None:
        found = Failure(url, "", gone=False, unreachable=True, known=True)
        with self._guard:
            until, reason = self._left.get(found.host, (0.0, ""))
        return replace(found, reason=reason) if time.monotonic() < until else None

    def _once(self, attempt: Attempt, content: Content | None) -> None:
        self._cancel.check()
        try:
            self._transport(attempt.url)(attempt)
        except Temporary as problem:
            if (problem.retry_after or 0) > self._limits.longest_wait:
                raise Unusable(f"{problem.reason}, and asks to wait {problem.retry_after:.0f} s") from problem
            raise
        if content:
            _verify(attempt.partial, content)

    def _transport(self, url: str) -> Callable[[Attempt], None]:
        scheme = urlsplit(url).scheme
        if scheme in ("http", "https"):
            return lambda attempt: from_http(attempt, self._connections())
        if scheme == "file":
            return from_file
        if scheme.startswith("git+"):
            from pkgtool.inputs.git_transport import from_git

            return from_git
        if scheme == "go+direct":
            from pkgtool.inputs.go_direct import from_go_command

            return from_go_command
        raise Unusable(f"pkgtool can't fetch from {scheme or 'a URL without a scheme'}")

    def _connections(self) -> httpx2.Client:
        with self._guard:
            if self._client is None:
                self._client = http.client()
            return self._client

    def _wait(self, state: RetryCallState) -> float:
        import tenacity

        problem = state.outcome.exception() if state.outcome else None
        if isinstance(problem, Temporary) and problem.retry_after is not None:
            return problem.retry_after
        limits = self._limits
        return float(tenacity.wait_random_exponential(multiplier=limits.first_wait, max=limits.longest_wait)(state))

    def _sleep(self, seconds: float) -> None:
        if self._cancel.wait(seconds):
            self._cancel.check()


def _verify(partial: Partial, content: Content) -> None:
    if partial.digest == content.digest:
        return
    found, resumed = partial.digest, partial.inherited
    partial.restart()
    if resumed:
        raise Temporary("the rest did not fit what an earlier attempt had brought")
    raise Unusable(f"wrong bytes: {found}, the lock says {content.digest}")
