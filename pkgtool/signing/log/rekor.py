"""Recording signatures in a transparency log: Rekor's API, versions 1 and 2."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pkgtool.errors import SigningError, VerificationError
from pkgtool.oci import documents
from pkgtool.signing.dsse import Envelope
from pkgtool.signing.encoding import b64
from pkgtool.signing.log.entry import LogEntry
from pkgtool.signing.public_key import HASH, Algorithm, PublicKey
from pkgtool.signing.services import LogService

if TYPE_CHECKING:
    import httpx2


def record_envelope(client: httpx2.Client, log: LogService, envelope: Envelope, key: PublicKey) -> LogEntry:
    """Record a DSSE envelope that `key` signed. Raises `SigningError` if the log does not take it."""
    if log.version == 2:
        return _record_2(client, log, envelope.signed, envelope.signature, key)
    body = {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "proposedContent": {
                "envelope": envelope.encode().decode(),
                "verifiers": [b64(key.pem.encode())],
            }
        },
    }
    return _record_1(client, log, body)


def record_signature(
    client: httpx2.Client, log: LogService, message: bytes, signature: bytes, key: PublicKey
) -> LogEntry:
    """Record a signature over bytes. Raises `SigningError` if the log does not take it."""
    if log.version == 2:
        return _record_2(client, log, message, signature, key)
    if key.algorithm is Algorithm.ED25519:
        raise _needs_digest()
    digest = hashlib.new(HASH, message).digest()
    body = {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": HASH, "value": digest.hex()}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(key.pem.encode())}},
        },
    }
    return _record_1(client, log, body)


def _needs_digest() -> SigningError:
    return SigningError(
        "a transparency log records digests, and an Ed25519 key does not sign digests",
        hint="sign with an ECDSA P-256 or RSA key where a log is used, or without a log",
    )


def _record_1(client: httpx2.Client, log: LogService, body: dict[str, Any]) -> LogEntry:
    answer = _post(client, f"{log.url}/api/v1/log/entries", body)
    try:
        return LogEntry.of_rekor_v1(answer, what=f"the answer of the log {log.url}")
    except VerificationError as problem:
        raise SigningError(problem.message) from problem


def _record_2(client: httpx2.Client, log: LogService, message: bytes, signature: bytes, key: PublicKey) -> LogEntry:
    body = {
        "hashedRekordRequestV002": {
            "digest": b64(hashlib.new(HASH, message).digest()),
            "signature": {
                "content": b64(signature),
                "verifier": {"publicKey": {"rawBytes": b64(key.der)}, "keyDetails": _key_details(key)},
            },
        }
    }
    answer = _post(client, f"{log.url}/api/v2/log/entries", body)
    try:
        return LogEntry.of_document(answer, what=f"the answer of the log {log.url}")
    except VerificationError as problem:
        raise SigningError(problem.message) from problem


def _key_details(key: PublicKey) -> str:
    """The name of key and hash in sigstore's algorithm registry."""
    if key.algorithm is Algorithm.ED25519:
        raise _needs_digest()
    if key.algorithm is Algorithm.RSA:
        return f"PKIX_RSA_PKCS1V15_{key.bits}_SHA256"
    if key.algorithm is not Algorithm.ECDSA_P256:
        raise SigningError(
            "a log of version 2 takes keys on P-384 and P-521 only with larger hashes, which cosign does not accept",
            hint="sign with a P-256 key where such a log is used",
        )
    return "PKIX_ECDSA_P256_SHA_256"


def _post(client: httpx2.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
    import httpx2

    try:
        response = client.post(url, content=json.dumps(body), headers={"Content-Type": "application/json"})
    except httpx2.HTTPError as problem:
        raise SigningError(f"the transparency log {url} can't be reached: {problem}") from problem
    if response.status_code == 409:  # recorded before: the same signature of a deterministic key
        return _existing(client, url, response)
    if response.status_code not in (200, 201):
        raise SigningError(
            f"the transparency log {url} answered with status {response.status_code}",
            details=response.text[:2000].splitlines(),
        )
    return documents.decode(response.content, what=f"the answer of the log {url}", error=SigningError)


def _existing(client: httpx2.Client, url: str, response: httpx2.Response) -> dict[str, Any]:
    from urllib.parse import urljoin

    found = client.get(urljoin(url, response.headers.get("Location", "")))
    if found.status_code != 200:
        raise SigningError(f"the transparency log {url} has the entry already and does not show it")
    return documents.decode(found.content, what=f"the answer of the log {url}", error=SigningError)
