"""A trusted root: whose logs, timestamps and certificates count (sigstore_trustroot.proto, as JSON).

It is a file, read once and never fetched: verification needs no network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.oci import documents
from pkgtool.signing.encoding import mapping, sequence, text, unb64
from pkgtool.signing.public_key import PublicKey

MEDIA_TYPES = (
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
)
_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Period:
    """When something counts; an open end is None."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (self.end is None or moment <= self.end)

    @classmethod
    def parse(cls, document: Any, *, what: str) -> Period:
        """A `validFor`; absent means always. Raises `VerificationError`."""
        if document is None:
            return cls()
        if not isinstance(document, dict):
            raise VerificationError(f"the validity of {what} is malformed")
        return cls(_moment(document.get("start"), what), _moment(document.get("end"), what))


@dataclass(frozen=True, slots=True)
class LogKey:
    """A transparency log (of signatures or of certificates) and the key it signs with."""

    url: str
    log_id: bytes
    key: PublicKey
    period: Period


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority, or a timestamp authority: certificates in DER, the root last."""

    url: str
    chain: tuple[bytes, ...]
    period: Period


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """All that is trusted besides keys."""

    logs: tuple[LogKey, ...] = ()
    certificate_logs: tuple[LogKey, ...] = ()
    certificate_authorities: tuple[Authority, ...] = ()
    timestamp_authorities: tuple[Authority, ...] = ()

    @classmethod
    def load(cls, path: Path) -> TrustedRoot:
        """Read a file: a trusted root, or a client trust configuration that holds one.

        Raises `VerificationError` if it can't be read.
        """
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise VerificationError(f"the trusted root {path} can't be read: {problem.strerror}") from problem
        return cls.parse(content, what=f"the trusted root {path}")

    @classmethod
    def parse(cls, content: bytes, *, what: str) -> TrustedRoot:
        """Raises `VerificationError` if it is malformed."""
        document = documents.decode(content, what=what, error=VerificationError)
        if "trustedRoot" in document:
            document = mapping(document, "trustedRoot", what)
        if document.get("mediaType") not in MEDIA_TYPES:
            raise VerificationError(f"{what} is not a sigstore trusted root: {document.get('mediaType')!r}")
        return cls(
            _logs(document, "tlogs", what),
            _logs(document, "ctlogs", what),
            _authorities(document, "certificateAuthorities", what),
            _authorities(document, "timestampAuthorities", what),
        )

    def log(self, log_id: bytes) -> LogKey | None:
        """The signature log with that id."""
        return _by_id(self.logs, log_id)

    def certificate_log(self, log_id: bytes) -> LogKey | None:
        """The certificate transparency log with that id."""
        return _by_id(self.certificate_logs, log_id)


def _by_id(logs: Iterable[LogKey], log_id: bytes) -> LogKey | None:
    return next((log for log in logs if log.log_id == log_id), None)


def _logs(document: dict[str, Any], name: str, what: str) -> tuple[LogKey, ...]:
    return tuple(_log(entry, f"a log of {what}") for entry in sequence(document, name, what, limit=_LIMIT))


def _log(document: Any, what: str) -> LogKey:
    if not isinstance(document, dict):
        raise VerificationError(f"{what} is not an object")
    key = mapping(document, "publicKey", what)
    identity = mapping(document, "checkpointKeyId" if "checkpointKeyId" in document else "logId", what)
    return LogKey(
        text(document, "baseUrl", what, ""),
        unb64(identity.get("keyId"), f"the id of {what}"),
        PublicKey.parse(unb64(key.get("rawBytes"), what), what=f"the key of {what}", error=VerificationError),
        Period.parse(key.get("validFor"), what=what),
    )


def _authorities(document: dict[str, Any], name: str, what: str) -> tuple[Authority, ...]:
    return tuple(_authority(entry, f"an authority of {what}") for entry in sequence(document, name, what, limit=_LIMIT))


def _authority(document: Any, what: str) -> Authority:
    if not isinstance(document, dict):
        raise VerificationError(f"{what} is not an object")
    chain = sequence(mapping(document, "certChain", what), "certificates", what, limit=_LIMIT)
    if not chain:
        raise VerificationError(f"{what} has no certificates")
    return Authority(
        text(document, "uri", what, ""),
        tuple(unb64(item.get("rawBytes") if isinstance(item, dict) else None, what) for item in chain),
        Period.parse(document.get("validFor"), what=what),
    )


def _moment(value: Any, what: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError) as problem:
        raise VerificationError(f"{what} has the malformed time {value!r}") from problem
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
