"""From an answer that says no to the error that a person reads."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping

from pkgtool.oci.registry.connections import Request
from pkgtool.oci.registry.errors import (
    Forbidden,
    NotARegistry,
    RateLimited,
    Refused,
    RepositoryUnknown,
    RequestFailed,
    ServerFailure,
    Unauthorized,
)

_NAME_CODES = frozenset(("NAME_UNKNOWN", "REPOSITORY_UNKNOWN"))
_MAX_DETAILS = 5
_MAX_LINE = 300


def looks_like_a_page(headers: Mapping[str, str], content: bytes) -> bool:
    """Whether an answer is a web page: registries speak JSON."""
    start = content[:512].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html")) or (
        "text/html" in headers.get("content-type", "") and not start.startswith(b"{")
    )


def error_codes(content: bytes) -> list[tuple[str, str]]:
    """Code and message of each error in a body (distribution-spec, "Error Codes"); none if it is not one."""
    try:
        errors = json.loads(content)["errors"]
        return [(str(error["code"]), str(error.get("message", ""))) for error in errors]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def retry_after(headers: Mapping[str, str]) -> float:
    """The wait that an answer asks for, in seconds (RFC 9110, 10.2.3: a number or a date); 0 if it asks for none."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def failure_of(
    status: int, headers: Mapping[str, str], content: bytes, *, request: Request, host: str
) -> RequestFailed:
    """The error of an answer with a status that nobody expected."""
    codes = error_codes(content)
    details = [f"{code}: {message}"[:_MAX_LINE] for code, message in codes[:_MAX_DETAILS]]
    names = {code for code, _ in codes}
    if status == 401:
        return Unauthorized(f"{host} wants credentials", details=details, hint=f"docker login {host}")
    if status == 429 or "TOOMANYREQUESTS" in names:
        wait = retry_after(headers)
        asks = f" and asks to wait {wait:.0f} s" if wait else ""
        return RateLimited(
            f"{host} refuses more requests for now{asks}",
            retry_after=wait,
            details=details,
            hint=f"try later, or log in for a higher limit: docker login {host}",
        )
    if status == 408 or status >= 500:
        return ServerFailure(
            f"{request} failed in the registry: HTTP {status}",
            retry_after=retry_after(headers),
            details=details,
            hint="run the same command again later; what is there stays",
        )
    if looks_like_a_page(headers, content):
        return page(host, status)
    if status == 403:
        return Forbidden(
            f"{host} does not allow {request}",
            details=details,
            hint=f"use an account that may: docker login {host}",
        )
    if names & _NAME_CODES:
        return RepositoryUnknown(
            f"{host} has no such repository: {request}", details=details, hint="create it at the registry first"
        )
    return Refused(f"{request} was refused: HTTP {status}", status=status, codes=names, details=details)


def page(host: str, status: int) -> NotARegistry:
    return NotARegistry(
        f"{host} answered with a web page (HTTP {status}), so it is not a registry",
        hint=f"check the address and any proxy on the way: curl -i https://{host}/v2/",
    )
