"""The certificate authority for identities, with the certificate log it must publish in."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import struct
import time
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from tests.support.sigstore_standin import certificates
from tests.support.sigstore_standin.certificates import Authority
from tests.support.sigstore_standin.oidc import IdentityProvider

_ISSUER_V1 = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_LIFETIME = dt.timedelta(minutes=10)


class CertificateLog:
    """A certificate transparency log that promises everything and stores nothing (RFC 6962)."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.log_id = hashlib.sha256(certificates.spki(self.key)).digest()

    def promises(self, precertificate: bytes, issuer_key_hash: bytes) -> bytes:
        """The extension's value: a list with one signed certificate timestamp."""
        milliseconds = int(time.time() * 1000)
        entry = issuer_key_hash + len(precertificate).to_bytes(3) + precertificate
        signed = b"\0\0" + struct.pack(">QH", milliseconds, 1) + entry + b"\0\0"
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        promise = b"\0" + self.log_id + struct.pack(">Q", milliseconds) + b"\0\0" + b"\4\3" + _sized(signature)
        return _der(0x04, _sized(_sized(promise)))


class Fulcio:
    """Issues a certificate for ten minutes to whoever shows a token and holds a key."""

    def __init__(self, provider: IdentityProvider) -> None:
        self._provider = provider
        self.authority = Authority.create("certificate authority")
        self.log = CertificateLog()

    def issue(self, token: str, request: dict[str, Any]) -> dict[str, Any]:
        identity = self._provider.identity(token)
        leaf = self.certify(identity, _public_key(request, identity))
        chain = [certificates.pem(leaf), certificates.pem(self.authority.certificate)]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def certify(self, identity: str, public_key: Any, *, ago: dt.timedelta = dt.timedelta(seconds=1)) -> Any:
        """A certificate whose ten minutes began so long ago."""
        builder = self._certificate(identity, public_key, certificates.now() - ago)
        # The log signs the certificate without its promise: the same builder, signed twice.
        body = builder.sign(self.authority.key, hashes.SHA256()).tbs_certificate_bytes
        promises = self.log.promises(body, self.authority.key_hash)
        promised = builder.add_extension(x509.UnrecognizedExtension(_SCT_LIST, promises), critical=False)
        return promised.sign(self.authority.key, hashes.SHA256())

    def _certificate(self, identity: str, public_key: Any, start: dt.datetime) -> x509.CertificateBuilder:
        name: x509.GeneralName
        name = x509.UniformResourceIdentifier(identity) if "://" in identity else x509.RFC822Name(identity)
        issuer = self._provider.issuer.encode()
        return (
            self.authority.builder(x509.Name([]), public_key, start, _LIFETIME)
            .add_extension(certificates.key_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V1, issuer), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V2, _der(0x0C, issuer)), critical=False)
        )


def _public_key(request: dict[str, Any], identity: str) -> Any:
    """The key of a request, whose possession is proven by a CSR or by a signature over the identity."""
    if "certificateSigningRequest" in request:
        csr = x509.load_pem_x509_csr(base64.b64decode(request["certificateSigningRequest"]))
        if not csr.is_signature_valid:
            raise ValueError("the request is not signed by its key")
        return csr.public_key()
    asked = request["publicKeyRequest"]
    key = serialization.load_pem_public_key(asked["publicKey"]["content"].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(base64.b64decode(asked["proofOfPossession"]), identity.encode(), ec.ECDSA(hashes.SHA256()))
    return key


def _sized(content: bytes) -> bytes:
    """TLS's way: a length in 16 bits, then the bytes."""
    return struct.pack(">H", len(content)) + content


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    width = 1 if length < 0x100 else 2
    return bytes([tag, 0x80 | width]) + length.to_bytes(width) + content
