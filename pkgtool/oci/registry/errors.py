"""What a registry can do wrong, each its own class where code or a person must tell them apart.

`temporary` says whether the same idempotent request may succeed a moment later; nothing else is retried.
No message here ever holds a header, a query string or a body that could carry a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from pkgtool.errors import RegistryError
from pkgtool.values import Digest


class RequestFailed(RegistryError):
    """A request that got no usable answer. `retry_after` is in seconds, 0 if the registry named none."""

    temporary = False

    def __init__(self, message: str, *, retry_after: float = 0.0, **where: Any) -> None:
        super().__init__(message, **where)
        self.retry_after = retry_after


class Unreachable(RequestFailed):
    """No connection, a connection that broke, or no answer in time."""

    temporary = True


class NoSuchHost(RequestFailed):
    """The host's name means nothing here."""


class TlsFailure(RequestFailed):
    """No trusted connection. `untrusted` is set if the other side did speak TLS."""

    def __init__(self, message: str, *, untrusted: bool = True, **where: Any) -> None:
        super().__init__(message, **where)
        self.untrusted = untrusted


class Unauthorized(RequestFailed):
    """401: no credentials, or wrong ones."""


class Forbidden(RequestFailed):
    """403: known, and not allowed."""


class RepositoryUnknown(RequestFailed):
    """The registry has no such repository and does not make it on the first push."""


class RateLimited(RequestFailed):
    """429: too many requests."""

    temporary = True


class ServerFailure(RequestFailed):
    """408 or 5xx: the registry, or something before it, failed."""

    temporary = True


class NotARegistry(RequestFailed):
    """What answered is some other web server: a page, a login form, a proxy's notice."""


class WrongContent(RequestFailed):
    """What came is not what its digest or length says."""


class Refused(RequestFailed):
    """Another 4xx. `codes` are the error codes of the distribution-spec, such as DIGEST_INVALID."""

    def __init__(self, message: str, *, status: int, codes: Iterable[str] = (), **where: Any) -> None:
        super().__init__(message, **where)
        self.status = status
        self.codes = frozenset(codes)


class Incomplete(RequestFailed):
    """A registry misses something that a manifest names, though it was there a moment ago.

    Temporary: docker-registry says so while another client writes the same link, others until a blob has settled.
    """

    temporary = True


class TagConflict(RegistryError):
    """A published tag holds other content; a published tag is never moved silently.

    `command` is what would be called with `--replace`, for the hint.
    """

    def __init__(
        self, reference: str, *, published: Digest, ours: Digest, what: str = "", command: str = "pkgtool push"
    ) -> None:
        of_what = f" for {what}" if what else ""
        super().__init__(
            f"{reference} is already published with other content{of_what}",
            details=(f"published: {published}", f"ours:      {ours}"),
            hint="the same tag must be the same bytes: find out why they differ; "
            f"'{command} --replace {reference.rpartition(':')[2]}' puts ours in its place",
        )
        self.reference = reference
        self.published = published
        self.ours = ours


class PartlyPointed(RegistryError):
    """Some of several tags were set and some were not; running it again does the rest."""

    def __init__(self, *, done: Iterable[str], failed: Iterable[tuple[str, str]]) -> None:
        self.done = tuple(done)
        self.failed = tuple(failed)
        super().__init__(
            f"{len(self.failed)} of {len(self.done) + len(self.failed)} tags could not be set",
            details=(
                *(f"set:     {reference}" for reference in self.done),
                *(f"not set: {reference}: {why}" for reference, why in self.failed),
            ),
            hint="run the same command again: tags that are set stay, the rest follow",
        )


def is_temporary(problem: BaseException) -> bool:
    return isinstance(problem, RequestFailed) and problem.temporary


def safe_url(url: str) -> str:
    """A URL as it may be shown: upload states, signatures of redirects and users' names left out."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
