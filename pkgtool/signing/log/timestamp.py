"""Timestamps of an authority over a signature (RFC 3161): asking for one, and checking one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pkgtool.errors import SigningError, VerificationError
from pkgtool.signing.trusted_root import Authority, TrustedRoot

if TYPE_CHECKING:
    import httpx2

_MAX_RESPONSE = 64 * 1024


def request_timestamp(client: httpx2.Client, url: str, signature: bytes) -> bytes:
    """The authority's response, DER. Raises `SigningError` if it gives none."""
    import httpx2
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

    request = TimestampRequestBuilder().hash_algorithm(HashAlgorithm.SHA256).data(signature).nonce(nonce=True).build()
    try:
        response = client.post(url, content=request.as_bytes(), headers={"Content-Type": "application/timestamp-query"})
    except httpx2.HTTPError as problem:
        raise SigningError(f"the timestamp authority {url} can't be reached: {problem}") from problem
    if response.status_code not in (200, 201) or len(response.content) > _MAX_RESPONSE:
        raise SigningError(f"the timestamp authority {url} answered with status {response.status_code}")
    try:
        stamp = decode_timestamp_response(response.content)
    except ValueError as problem:
        raise SigningError(f"the timestamp authority {url} gave no timestamp: {problem}") from problem
    return bytes(stamp.as_bytes())


def check_timestamp(stamp: bytes, signature: bytes, root: TrustedRoot) -> datetime:
    """When a trusted authority saw the signature.

    Raises `VerificationError` if no authority of the trusted root made this timestamp for this signature.
    """
    from rfc3161_client import decode_timestamp_response

    if not root.timestamp_authorities:
        raise VerificationError("there is a timestamp, but the trusted root names no timestamp authority")
    try:
        response = decode_timestamp_response(stamp)
        moment: datetime = response.tst_info.gen_time
    except ValueError as problem:
        raise VerificationError("the timestamp is malformed") from problem
    for authority in root.timestamp_authorities:
        if _made_by(authority, response, signature):
            if authority.period.holds(moment):
                return moment
            raise VerificationError(f"the timestamp authority was not valid at {moment.isoformat()}")
    raise VerificationError("the timestamp is not a trusted authority's for this signature")


def _made_by(authority: Authority, response: object, signature: bytes) -> bool:
    from cryptography import x509
    from rfc3161_client import VerificationError as NotVerified
    from rfc3161_client import VerifierBuilder

    try:
        chain = [x509.load_der_x509_certificate(content) for content in authority.chain]
    except ValueError as problem:
        raise VerificationError(f"a certificate of the timestamp authority {authority.url} is malformed") from problem
    if len(chain) < 2:
        return False
    builder = VerifierBuilder().tsa_certificate(chain[0]).add_root_certificate(chain[-1])
    for certificate in chain[1:-1]:
        builder = builder.add_intermediate_certificate(certificate)
    try:
        return bool(builder.build().verify_message(response, signature))  # type: ignore[arg-type]
    except NotVerified:
        return False
