"""Which services take part in signing: transparency logs, timestamp authorities, and, for keyless, the rest.

Read from sigstore's own files: a signing configuration (sigstore_trustroot.proto `SigningConfig`, JSON) or a client
trust configuration, which holds one beside the trusted root.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pkgtool.errors import SigningError, VerificationError
from pkgtool.oci import documents
from pkgtool.signing.encoding import mapping, number, sequence, text
from pkgtool.signing.trusted_root import Period

_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
_LIMIT = 32


@dataclass(frozen=True, slots=True)
class LogService:
    """A Rekor instance: version 1 gives promises, version 2 checkpoints only."""

    url: str
    version: int


@dataclass(frozen=True, slots=True)
class Services:
    """What signatures are recorded in. Empty means: nowhere, and that is a choice."""

    logs: tuple[LogService, ...] = ()
    timestamp_urls: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Services:
        """Read a signing configuration or a client trust configuration.

        Raises `SigningError` if it can't be read.
        """
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise SigningError(f"the signing configuration {path} can't be read: {problem.strerror}") from problem
        return cls.parse(content, what=f"the signing configuration {path}")

    @classmethod
    def parse(cls, content: bytes, *, what: str, now: datetime | None = None) -> Services:
        """Of the services that are valid `now`, the newest version of the log, and every timestamp authority."""
        moment = now or datetime.now(UTC)
        try:
            document = documents.decode(content, what=what, error=VerificationError)
            if "signingConfig" in document:
                document = mapping(document, "signingConfig", what)
            if document.get("mediaType") != _CONFIG:
                raise VerificationError(f"{what} is not a sigstore signing configuration of version 0.2")
            logs = [
                LogService(url, version)
                for url, version in _valid(document, "rekorTlogUrls", what, moment)
                if version in (1, 2)
            ]
            newest = max((log.version for log in logs), default=0)
            stamps = tuple(url for url, version in _valid(document, "tsaUrls", what, moment) if version == 1)
            return cls(tuple(log for log in logs if log.version == newest)[:1], stamps[:1])
        except VerificationError as problem:
            raise SigningError(problem.message) from problem


def _valid(document: dict[str, Any], name: str, what: str, moment: datetime) -> list[tuple[str, int]]:
    """URL and version of the services of a kind that are valid at the moment."""
    found = []
    for entry in sequence(document, name, what, limit=_LIMIT):
        if not isinstance(entry, dict):
            raise VerificationError(f"{what} has a malformed entry in {name!r}")
        if Period.parse(entry.get("validFor"), what=what).holds(moment):
            found.append((text(entry, "url", what).rstrip("/"), number(entry, "majorApiVersion", what)))
    return found
