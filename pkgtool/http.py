"""The one way out to HTTP: the system's trust store, proxies from the environment, and always a time limit."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from pkgtool import __version__

if TYPE_CHECKING:
    import httpx2

USER_AGENT = f"pkgtool/{__version__}"
CONNECT_SECONDS = 15.0
READ_SECONDS = 60.0


def system_trust() -> ssl.SSLContext:
    """Certificates as the system trusts them (OpenSSL's defaults, so SSL_CERT_FILE and SSL_CERT_DIR count)."""
    return ssl.create_default_context()


def client(*, trust: ssl.SSLContext | None = None, **options: Any) -> httpx2.Client:
    """A client with limits on every wait (`timeout` changes them).

    It follows no redirect by itself: callers decide what may be resent.
    """
    import httpx2

    timeout = options.pop("timeout", None) or httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    headers = {"User-Agent": USER_AGENT, **options.pop("headers", {})}
    return httpx2.Client(verify=trust or system_trust(), timeout=timeout, headers=headers, **options)
