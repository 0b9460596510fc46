"""Making signed artifacts: from a statement, a bundle and a classic attestation; from a digest, a classic signature.

`KeyAttestor` does it with a private key; `pkgtool.signing.keyless` with a certificate for an identity.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pkgtool.signing.dsse import IN_TOTO, Envelope, pae
from pkgtool.signing.encoding import b64
from pkgtool.signing.formats import classic
from pkgtool.signing.formats.bundle import Bundle
from pkgtool.signing.keys.signer import Signer
from pkgtool.signing.services import Services
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.signing.verify.evidence import Evidence, Format, Trust

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True, slots=True)
class ClassicLayer:
    """One layer of a `.sig` or `.att`, or nothing to write if `content` is empty."""

    content: bytes
    annotations: dict[str, str]


class Attestor(Protocol):
    """Whoever signs. Safe to use from several threads; close it when done (`contextlib.closing`)."""

    @property
    def name(self) -> str:
        """For people: a key's fingerprint or an identity."""
        ...

    @property
    def trust(self) -> Trust:
        """The trust under which this attestor's own signatures are found again."""
        ...

    def made(self, evidence: Evidence) -> bool:
        """Whether the evidence is this attestor's, and recorded wherever this attestor records."""
        ...

    def attest(self, statement: bytes) -> Bundle:
        """A bundle around an in-toto statement. Raises `SigningError`."""
        ...

    def attestation_layer(self, bundle: Bundle, predicate_type: str) -> ClassicLayer | None:
        """The same in the older format; None if that can't carry what the bundle does."""
        ...

    def signature_layer(self, payload: bytes) -> ClassicLayer | None:
        """A classic signature over a payload; None if the older format can't carry the log's proof."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


class KeyAttestor:
    """Signs with a private key, and records in the given services."""

    def __init__(
        self,
        signer: Signer,
        services: Services | None = None,
        *,
        root: TrustedRoot | None = None,
    ) -> None:
        self._signer = signer
        self._services = services or Services()
        self._root = root
        self._client: httpx2.Client | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return f"key {self._signer.public_key.fingerprint[:16]}…"

    @property
    def trust(self) -> Trust:
        return Trust((self._signer.public_key,), self._root)

    def made(self, evidence: Evidence) -> bool:
        if evidence.signer != self._signer.public_key:
            return False
        return bool(evidence.logged) or not self._is_logged(evidence.format)

    def _is_logged(self, format_: Format) -> bool:
        """Whether what is written in this format carries a log's proof, and whether that can be seen again."""
        versions = {log.version for log in self._services.logs if self._root}
        return 1 in versions if format_ is Format.CLASSIC else bool(versions)

    def attest(self, statement: bytes) -> Bundle:
        from pkgtool.signing.log import rekor

        key = self._signer.public_key
        envelope = Envelope(statement, self._signer.sign(pae(IN_TOTO, statement)))
        entries = tuple(rekor.record_envelope(self._http(), log, envelope, key) for log in self._services.logs)
        return Bundle(envelope, key.hint, b"", entries, self._timestamps(envelope.signature))

    def attestation_layer(self, bundle: Bundle, predicate_type: str) -> ClassicLayer | None:
        return attestation_layer(bundle, predicate_type)

    def signature_layer(self, payload: bytes) -> ClassicLayer | None:
        from pkgtool.signing.log import rekor

        signature = self._signer.sign(payload)
        # The older format has no place for a proof of Rekor v2.
        logs = [log for log in self._services.logs if log.version == 1]
        entries = tuple(
            rekor.record_signature(self._http(), log, payload, signature, self._signer.public_key) for log in logs
        )
        material = classic.Material(b"", entries, self._timestamps(signature))
        return ClassicLayer(payload, {classic.SIGNATURE: b64(signature), **material.annotations()})

    def _timestamps(self, signature: bytes) -> tuple[bytes, ...]:
        if not self._services.timestamp_urls:
            return ()
        from pkgtool.signing.log.timestamp import request_timestamp

        return tuple(request_timestamp(self._http(), url, signature) for url in self._services.timestamp_urls)

    def _http(self) -> httpx2.Client:
        with self._lock:
            if self._client is None:
                from pkgtool import http

                self._client = http.client()
            return self._client

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def attestation_layer(bundle: Bundle, predicate_type: str) -> ClassicLayer | None:
    """A bundle's envelope as a layer of an `.att`.

    None for a certificate whose use was recorded in a log without promises (Rekor v2): the annotation can't carry
    such a proof, and without one the certificate proves nothing.
    """
    if bundle.certificate and not any(entry.promise for entry in bundle.log_entries):
        return None
    material = classic.Material(bundle.certificate, bundle.log_entries, bundle.timestamps)
    annotations = {classic.SIGNATURE: "", classic.PREDICATE_TYPE: predicate_type, **material.annotations()}
    return ClassicLayer(bundle.logged_envelope or bundle.envelope.encode(), annotations)
