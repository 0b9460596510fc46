"""Certificates of one registry, found where Docker finds them: `certs.d/HOST:PORT/{*.crt,*.cert,*.key}`.

`*.crt` are further authorities beside the system's; `NAME.cert` with `NAME.key` is what we show to the registry
(https://docs.docker.com/engine/security/certificates/).
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from pkgtool import http
from pkgtool.errors import ConfigError


def directory_of(host: str, directories: Sequence[Path]) -> Path | None:
    """The first directory that holds certificates of `host`."""
    return next((path / host for path in directories if (path / host).is_dir()), None)


def context(host: str, directories: Sequence[Path]) -> ssl.SSLContext:
    """The system's trust and what the host's own directory adds.

    Raises `ConfigError` for a file that is no certificate, or a client certificate without its key.
    """
    trust = http.system_trust()
    directory = directory_of(host, directories)
    if directory is None:
        return trust
    for authority in sorted(directory.glob("*.crt")):
        _load(authority, functools.partial(trust.load_verify_locations, cafile=authority))
    for certificate in sorted(directory.glob("*.cert")):
        key = certificate.with_suffix(".key")
        if not key.exists():
            raise ConfigError(f"{certificate} has no key: {key} does not exist", hint=f"put the private key at {key}")
        # An encrypted key would make OpenSSL ask on the terminal; an empty answer makes it fail instead.
        _load(certificate, functools.partial(trust.load_cert_chain, certificate, key, password=""))
    return trust


def nothing() -> ssl.SSLContext:
    """For connections without TLS: it trusts nobody, and is made without reading a single certificate."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _load(path: Path, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", None) or getattr(problem, "strerror", None) or "it can't be read"
        raise ConfigError(f"{path} is not a usable certificate: {reason}") from problem
