"""Short-lived certificates of keyless signatures: is the issuer trusted, was it logged, and whom does it name.

The profile is Fulcio's (github.com/sigstore/fulcio, docs/certificate-specification.md and docs/oid-info.md).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pkgtool.errors import VerificationError
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.trusted_root import TrustedRoot

_ARC = "1.3.6.1.4.1.57264.1"
_ISSUER, _ISSUER_RAW = f"{_ARC}.8", f"{_ARC}.1"
_OTHER_NAME = f"{_ARC}.7"
_CLAIMS = {
    f"{_ARC}.11": "runner-environment",
    f"{_ARC}.12": "source-repository",
    f"{_ARC}.13": "source-digest",
    f"{_ARC}.14": "source-ref",
    f"{_ARC}.18": "build-config",
    f"{_ARC}.20": "build-trigger",
    f"{_ARC}.21": "run",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a certificate names, and who vouches for it."""

    subject: str
    """An e-mail address, or the URI of a workflow."""
    issuer: str
    """The OIDC issuer's URL."""
    claims: Mapping[str, str]
    """What else the issuer said: the source repository and its digest, the run, …"""

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that has been read, and not yet believed."""

    der: bytes
    key: PublicKey
    identity: Identity
    _certificate: Any

    @classmethod
    def parse(cls, der: bytes, *, what: str) -> Certificate:
        """Raises `VerificationError` if it is malformed or names nobody."""
        from cryptography import x509

        try:
            certificate = x509.load_der_x509_certificate(der)
            key = PublicKey.of(certificate.public_key(), what=f"the certificate of {what}", error=VerificationError)
            identity = _identity(certificate, what)
        except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as problem:
            raise VerificationError(f"the certificate of {what} is malformed: {problem}") from problem
        return cls(der, key, identity, certificate)

    def check(self, moment: datetime, root: TrustedRoot) -> None:
        """That it was valid at the verified time of the signature, and issued and logged by trusted parties.

        Raises `VerificationError`.
        """
        begin, end = self._certificate.not_valid_before_utc, self._certificate.not_valid_after_utc
        if not begin <= moment <= end:
            raise VerificationError(
                f"the certificate was valid from {begin.isoformat()} to {end.isoformat()}, "
                f"and the signature was made at {moment.isoformat()}"
            )
        _check_usage(self._certificate)
        _check_logged(self._certificate, _issuer(self._certificate, moment, root), root)


def _identity(certificate: Any, what: str) -> Identity:
    extensions = _fulcio_extensions(certificate)
    issuer = _utf8(extensions[_ISSUER]) if _ISSUER in extensions else extensions.get(_ISSUER_RAW, b"").decode()
    if not issuer:
        raise VerificationError(f"the certificate of {what} does not say which issuer vouched for the identity")
    claims = {name: _utf8(extensions[oid]) for oid, name in _CLAIMS.items() if oid in extensions}
    return Identity(_subject(certificate, what), issuer, claims)


def _fulcio_extensions(certificate: Any) -> dict[str, bytes]:
    from cryptography import x509

    return {
        extension.oid.dotted_string: extension.value.value
        for extension in certificate.extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
    }


def _subject(certificate: Any, what: str) -> str:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as problem:
        raise VerificationError(f"the certificate of {what} names nobody") from problem
    found = [
        *names.get_values_for_type(x509.RFC822Name),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
        *(_utf8(n.value) for n in names.get_values_for_type(x509.OtherName) if n.type_id.dotted_string == _OTHER_NAME),
    ]
    if len(found) != 1:
        raise VerificationError(f"the certificate of {what} names {len(found)} identities, expected one")
    return str(found[0])


def _utf8(der: bytes) -> str:
    """A DER UTF8String of less than 64 KiB."""
    if len(der) >= 2 and der[0] == 0x0C:
        if der[1] < 0x80:
            length, start = der[1], 2
        elif der[1] in (0x81, 0x82) and len(der) >= 4:
            width = der[1] & 0x7F
            length, start = int.from_bytes(der[2 : 2 + width]), 2 + width
        else:
            raise ValueError("an extension is not a UTF8String")
        if len(der) == start + length:
            return der[start:].decode()
    raise ValueError("an extension is not a UTF8String")


def _check_usage(certificate: Any) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as problem:
        raise VerificationError("the certificate does not say what it may be used for") from problem
    if not usage.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise VerificationError("the certificate is not for signing code")


def _issuer(certificate: Any, moment: datetime, root: TrustedRoot) -> Any:
    """The trusted authority's certificate that issued this one. Raises `VerificationError`."""
    from cryptography import x509
    from cryptography.x509 import verification

    # The defaults are those of the web's certificates; a signer's own purpose is checked in `_check_usage`.
    optional = (x509.ExtendedKeyUsage, verification.Criticality.NON_CRITICAL, None)
    policy = verification.PolicyBuilder().extension_policies(
        ca_policy=verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(*optional),
        ee_policy=verification.ExtensionPolicy.webpki_defaults_ee().may_be_present(*optional),
    )
    for authority in root.certificate_authorities:
        if not authority.period.holds(moment):
            continue
        try:
            chain = [x509.load_der_x509_certificate(content) for content in authority.chain]
            verifier = policy.store(verification.Store(chain)).time(moment).build_client_verifier()
            return verifier.verify(certificate, []).chain[1]
        except (verification.VerificationError, ValueError, x509.UnsupportedGeneralNameType):
            continue
    raise VerificationError("the certificate was not issued by an authority of the trusted root")


def _check_logged(certificate: Any, issuer: Any, root: TrustedRoot) -> None:
    """That a trusted certificate log promised to publish it (RFC 6962, 3.2)."""
    from cryptography import x509

    try:
        embedded = certificate.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    except x509.ExtensionNotFound as problem:
        raise VerificationError("the certificate was not published in a certificate log") from problem
    for promise in embedded:
        log = root.certificate_log(promise.log_id)
        moment = promise.timestamp.replace(tzinfo=UTC)
        if (
            log
            and log.period.holds(moment)
            and log.key.verifies(promise.signature, _promised(certificate, issuer, promise))
        ):
            return
    raise VerificationError("no trusted certificate log promised to publish the certificate")


def _promised(certificate: Any, issuer: Any, promise: Any) -> bytes:
    """The bytes that a signed certificate timestamp is over."""
    body = certificate.tbs_precertificate_bytes
    issuer_key = PublicKey.of(issuer.public_key(), what="the issuer's certificate", error=VerificationError)
    milliseconds = (promise.timestamp.replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    return b"".join(
        (
            b"\0\0",  # version 1, certificate_timestamp
            struct.pack(">QH", milliseconds, promise.entry_type.value),
            bytes.fromhex(issuer_key.fingerprint),
            len(body).to_bytes(3),
            body,
            struct.pack(">H", len(promise.extension_bytes)),
            promise.extension_bytes,
        )
    )
