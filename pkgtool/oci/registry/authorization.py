"""Which Authorization header a request gets: basic, or a bearer token per set of scopes.

Token flow: distribution's "token authentication" (GET with basic credentials) and its OAuth2 form (POST), which
identity tokens need. Tokens live in memory, until shortly before they expire.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from pkgtool.oci.registry import challenge
from pkgtool.oci.registry.address import is_loopback
from pkgtool.oci.registry.connections import Connections, Request
from pkgtool.oci.registry.errors import Forbidden, NotARegistry, Unauthorized
from pkgtool.oci.registry.failures import failure_of

if TYPE_CHECKING:
    from pkgtool.oci.registry.credentials import Credential

Scopes = frozenset[str]
"""Such as {"repository:linuxkit/getty:pull,push"}."""

_CLIENT_ID = "pkgtool"
_DEFAULT_LIFE = 60.0
_MARGIN = 10.0
_MAX_ANSWER = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    expires: float


class Authorization:
    """Credentials of one registry. `find` is asked once, when the registry first wants to know who we are."""

    def __init__(
        self,
        host: str,
        connections: Connections,
        *,
        find: Callable[[], Credential | None],
        insecure: frozenset[str] = frozenset(),
    ) -> None:
        self._host = host
        self._connections = connections
        self._find = find
        self._insecure = insecure
        self._lock = threading.Lock()
        self._fetching: dict[Scopes, threading.Lock] = {}
        self._asked = False
        self._credential: Credential | None = None
        self._challenge: challenge.Challenge | None = None
        self._tokens: dict[Scopes, _Token] = {}

    def header(self, scopes: Scopes) -> str | None:
        """The header to send from the start, once the registry has said how it wants it."""
        with self._lock:
            known = self._challenge
        if known is None:
            return None
        return self._header(known, scopes)

    def answer(self, asked: str, scopes: Scopes, refused: str | None) -> str | None:
        """The header after a 401 with the given `WWW-Authenticate`; None if there is nothing (else) to offer.

        `refused` is the header that was sent with the request. Raises `Unauthorized` or what the token server says.
        """
        wanted = {found.scheme: found for found in challenge.parse(asked)}
        chosen = wanted.get("bearer") or wanted.get("basic")
        if chosen is None:
            return None
        with self._lock:
            self._challenge = chosen
            token = self._tokens.get(scopes)
            if token and token.header == refused:
                del self._tokens[scopes]
        header = self._header(chosen, scopes)
        return header if header != refused else None

    def _header(self, known: challenge.Challenge, scopes: Scopes) -> str | None:
        if known.scheme == "basic":
            credential = self._known_credential()
            return _basic(credential) if credential and credential.username else None
        with self._lock:
            fetching = self._fetching.setdefault(scopes, threading.Lock())
        with fetching:
            token = self._tokens.get(scopes)
            if token is None or token.expires < time.monotonic():
                token = self._fetch(known.parameters, scopes)
                self._tokens[scopes] = token
        return token.header

    def _known_credential(self) -> Credential | None:
        with self._lock:
            if not self._asked:
                self._credential = self._find()
                self._asked = True
            return self._credential

    @property
    def anonymous(self) -> bool:
        """Whether there are no credentials for this registry."""
        return self._known_credential() is None

    # -- token server -----------------------------------------------------------------------------------

    def _fetch(self, parameters: Mapping[str, str], scopes: Scopes) -> _Token:
        realm = parameters.get("realm", "")
        parts = urlsplit(realm)
        if not parts.hostname or not self._may_use(parts.scheme, parts.netloc):
            raise NotARegistry(
                f"{self._host} wants tokens from a place that can't be trusted with credentials",
                hint="a token server needs https",
            )
        content = self._ask(realm, parameters.get("service", ""), sorted(scopes))
        return self._token(content)

    def _may_use(self, scheme: str, host: str) -> bool:
        return scheme == "https" or (scheme == "http" and (is_loopback(host) or host in self._insecure))

    def _ask(self, realm: str, service: str, scopes: list[str]) -> bytes:
        credential = self._known_credential()
        if credential and credential.identity_token:
            return self._post(
                realm, service, scopes, grant_type="refresh_token", refresh_token=credential.identity_token
            )
        query = urlencode([*([("service", service)] if service else []), *(("scope", scope) for scope in scopes)])
        headers = {"Authorization": _basic(credential)} if credential else {}
        request = Request("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", headers)
        with self._connections.open(request) as answer:
            if answer.status in (404, 405) and credential:
                return self._post(
                    realm,
                    service,
                    scopes,
                    grant_type="password",
                    username=credential.username,
                    password=credential.password,
                )
            content = answer.read(_MAX_ANSWER)
            self._check(answer.status, answer.headers, content, request)
            return content

    def _post(self, realm: str, service: str, scopes: list[str], **grant: str) -> bytes:
        form = {**grant, "service": service, "scope": " ".join(scopes), "client_id": _CLIENT_ID}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = Request("POST", realm, headers, urlencode(form).encode())
        with self._connections.open(request) as answer:
            content = answer.read(_MAX_ANSWER)
            self._check(answer.status, answer.headers, content, request)
            return content

    def _check(self, status: int, headers: Mapping[str, str], content: bytes, request: Request) -> None:
        if status == 200:
            return
        failure = failure_of(status, headers, content, request=request, host=self._host)
        if isinstance(failure, Forbidden | Unauthorized) or 400 <= status < 404:
            what = "wants credentials" if self.anonymous else "refused the credentials"
            raise Unauthorized(f"the token server of {self._host} {what}", hint=f"docker login {self._host}")
        raise failure

    def _token(self, content: bytes) -> _Token:
        try:
            document = json.loads(content)
            text = document.get("token") or document.get("access_token")
            life = float(document.get("expires_in") or _DEFAULT_LIFE)
        except (ValueError, TypeError, AttributeError):
            text, life = None, 0.0
        # A token goes into a header: anything else than visible ASCII there is an attack or a mistake.
        if not isinstance(text, str) or not text.isascii() or not text.isprintable() or " " in text:
            raise NotARegistry(f"the token server of {self._host} answered without a token")
        return _Token(f"Bearer {text}", time.monotonic() + max(life - _MARGIN, life / 2))


def _basic(credential: Credential) -> str:
    return "Basic " + base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()
