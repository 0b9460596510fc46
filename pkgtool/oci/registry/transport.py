"""Requests to one registry: which scheme, who we are, redirects, retries, and what counts as an answer."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from pkgtool.cancel import Cancellation
from pkgtool.events import Sink, ignore
from pkgtool.oci.documents import MAX_DOCUMENT
from pkgtool.oci.registry import trust
from pkgtool.oci.registry.address import Address, is_loopback
from pkgtool.oci.registry.authorization import Authorization, Scopes
from pkgtool.oci.registry.body import Part
from pkgtool.oci.registry.connections import Answer, Connections, Request, origin
from pkgtool.oci.registry.errors import (
    NotARegistry,
    RequestFailed,
    TlsFailure,
    Unauthorized,
    Unreachable,
    WrongContent,
)
from pkgtool.oci.registry.failures import failure_of, looks_like_a_page, page
from pkgtool.oci.registry.retry import persistently
from pkgtool.oci.registry.settings import RegistrySettings

if TYPE_CHECKING:
    from pkgtool.oci.registry.credentials import Credential

T = TypeVar("T")

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that has been read to its end. Header names are looked up without regard to case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    url: str = field(repr=False)


class Transport:
    """One registry's HTTP side. `path` arguments begin with `/v2/`, or are whole URLs that the registry gave."""

    def __init__(
        self,
        address: Address,
        settings: RegistrySettings,
        *,
        cancel: Cancellation | None = None,
        sink: Sink = ignore,
    ) -> None:
        self.address = address
        self.settings = settings
        self.cancel = cancel or Cancellation()
        self.sink = sink
        self._connections = Connections(settings, self.cancel)
        self._authorization = Authorization(
            address.host,
            self._connections,
            find=self._find_credential,
            insecure=settings.insecure,
        )
        self.lacks_referrers = False
        """Set once the registry has answered that it has no referrers API, so that it is not asked for each image."""
        self._deciding = threading.Lock()
        self._base = ""

    def close(self) -> None:
        self._connections.close()

    def _find_credential(self) -> Credential | None:
        # Imported when a registry first asks: it brings everything that starting a helper needs.
        from pkgtool.oci.registry import credentials

        return credentials.find(self.address.host, directory=self.settings.docker_config, cancel=self.cancel)

    def request(
        self,
        method: str,
        path: str,
        *,
        scopes: Scopes,
        expect: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: bytes | Part | None = None,
        retry: bool = True,
    ) -> Reply:
        """The answer, if its status is among `expect`; the error that it means otherwise.

        With `retry` (only for what may be repeated) temporary failures are tried again.
        """
        attempt = functools.partial(self._attempt, Request(method, path, headers or {}, body), scopes, expect)
        return self.persistently(attempt) if retry else attempt()

    def persistently(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` under this registry's retry policy."""
        return persistently(attempt, policy=self.settings.retry, cancel=self.cancel, sink=self.sink)

    def open(self, path: str, *, scopes: Scopes, headers: Mapping[str, str] | None = None) -> Answer:
        """A successful answer to a GET (200 or 206) whose body is still to be read. Raises the error of any other."""
        answer = self._follow(Request("GET", path, headers or {}), scopes)
        if answer.status in (200, 206):
            return answer
        with answer:
            raise self._failure(answer, answer.read(MAX_DOCUMENT))

    def location(self, reply: Reply) -> str:
        """The absolute URL that an answer points at, or an empty string.

        A registry behind a TLS proxy that thinks it speaks plain HTTP is still talked to over TLS. Raises
        `NotARegistry` if the place has no TLS and must.
        """
        place = reply.headers.get("location", "")
        if not place:
            return ""
        target = urljoin(reply.url, place)
        if urlsplit(target).netloc == urlsplit(self._base).netloc:
            return self._base + target.removeprefix(origin(target))
        self._check_target(self._base, target)
        return target

    def _attempt(self, request: Request, scopes: Scopes, expect: Collection[int]) -> Reply:
        with self._follow(request, scopes) as answer:
            content = answer.read(MAX_DOCUMENT)
            if answer.status not in expect:
                raise self._failure(answer, content)
            if looks_like_a_page(answer.headers, content):
                # Some registries label the empty answer to a HEAD as HTML: only a body can tell.
                if request.method != "HEAD":
                    raise page(self.address.host, answer.status)
                self._attempt(replace(request, method="GET"), scopes, expect)
            if request.method != "HEAD" and _length(answer) not in (None, len(content)):
                raise WrongContent(f"{answer.request} gave {len(content)} bytes instead of {_length(answer)}")
            return Reply(answer.status, answer.headers, content, answer.request.url)

    def _failure(self, answer: Answer, content: bytes) -> RequestFailed:
        host = self.address.host
        failure = failure_of(answer.status, answer.headers, content, request=answer.request, host=host)
        if isinstance(failure, Unauthorized) and not self._authorization.anonymous:
            return Unauthorized(
                f"the credentials for {host} were refused", details=failure.details, hint=f"docker login {host}"
            )
        return failure

    # -- redirects --------------------------------------------------------------------------------------

    def _follow(self, request: Request, scopes: Scopes) -> Answer:
        """Send, and follow redirects of what has no body. Authorization never goes to another origin."""
        answer = self._authorized(request, scopes)
        for _ in range(_MAX_REDIRECTS):
            place = answer.headers.get("location", "")
            if answer.status not in _REDIRECTS or not place or request.method not in ("GET", "HEAD"):
                return answer
            answer.drain()
            target = urljoin(answer.request.url, place)
            self._check_target(answer.request.url, target)
            following = replace(request, url=target)
            if origin(target) == self._base:
                answer = self._authorized(following, scopes)
            else:
                kept = {name: value for name, value in request.headers.items() if name.lower() in ("accept", "range")}
                answer = self._connections.open(replace(following, headers=kept))
        answer.drain()
        raise NotARegistry(f"{request} leads from one redirect to the next")

    def _check_target(self, source: str, target: str) -> None:
        old, new = urlsplit(source), urlsplit(target)
        plain_allowed = is_loopback(new.netloc) or new.netloc in self.settings.insecure
        if new.scheme not in ("http", "https") or (
            old.scheme == "https" and new.scheme == "http" and not plain_allowed
        ):
            raise NotARegistry(f"{self.address.host} redirects to a place without TLS ({new.scheme}://{new.hostname})")

    # -- authorization ----------------------------------------------------------------------------------

    def _authorized(self, request: Request, scopes: Scopes) -> Answer:
        request, first = self._located(request)
        if first is None:
            # Elsewhere (an upload's storage host) the URL itself is the permission.
            ours = origin(request.url) == self._base
            header = self._authorization.header(scopes) if ours else None
            answer = self._connections.open(_with_authorization(request, header))
        else:
            ours, header, answer = True, None, first
        if answer.status != 401 or not ours:
            return answer
        with answer:
            asked = answer.headers.get("www-authenticate", "")
            content = answer.read(MAX_DOCUMENT)  # to its end: so the connection can be used again
            better = self._authorization.answer(asked, scopes, header)
            if better is None:
                raise self._failure(answer, content)
        return self._connections.open(_with_authorization(request, better))

    # -- scheme -----------------------------------------------------------------------------------------

    def _located(self, request: Request) -> tuple[Request, Answer | None]:
        """The request with its whole URL; and its answer already, if it was what found out the scheme."""
        if not request.url.startswith("/"):
            return request, None
        if not self._base:
            with self._deciding:
                if not self._base:
                    probe = request if request.method in ("GET", "HEAD") else Request("GET", "/v2/")
                    answer = self._decide(probe)
                    if answer and probe is request:
                        return replace(request, url=answer.request.url), answer
                    if answer:
                        answer.drain()
        return replace(request, url=self._base + request.url), None

    def _schemes(self) -> tuple[str, ...]:
        host = self.address.host
        if trust.directory_of(host, self.settings.certificates):
            return ("https",)
        if self.address.is_loopback:
            return ("http", "https")
        return ("https", "http") if host in self.settings.insecure else ("https",)

    def _decide(self, request: Request) -> Answer | None:
        schemes = self._schemes()
        if len(schemes) == 1:
            self._base = f"{schemes[0]}://{self.address.api_host}"
            return None
        failures: list[RequestFailed] = []
        for scheme in schemes:
            base = f"{scheme}://{self.address.api_host}"
            try:
                answer = self._connections.open(replace(request, url=base + request.url))
            except (TlsFailure, Unreachable) as problem:
                failures.append(problem)
                continue
            if scheme == "http" and answer.status == 400 and "json" not in answer.headers.get("content-type", ""):
                answer.close()  # what a TLS server answers to a plain request
                continue
            self._base = base
            return answer
        spoke_tls = (problem for problem in failures if isinstance(problem, TlsFailure) and problem.untrusted)
        raise next(spoke_tls, failures[0])


def _with_authorization(request: Request, header: str | None) -> Request:
    return replace(request, headers={**request.headers, "Authorization": header}) if header else request


def _length(answer: Answer) -> int | None:
    text = answer.headers.get("content-length", "")
    return int(text) if text.isdigit() else None
