"""Who signs modules: a private key, wherever it lies, and its certificate. Everything wrong is found here, early.

A key file is read here; any other key (PKCS#11, a KMS) is given as an object with `sign`, RSA PKCS#1 v1.5 over the
message with the series' hash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgtool.errors import KernelError, Location
from pkgtool.kernel.signature import ModuleSignature, SignerId, encode, signer_id

if TYPE_CHECKING:
    import cryptography.x509

DEVELOPMENT_MARK = "development"
"""A certificate whose common name has this word is one that nobody vouches for."""

Sign = Callable[[bytes], bytes]
"""A message to its raw RSA signature. Called from several threads."""


class KeyMissing(KernelError):
    """The file of a key or certificate is not there or can't be read."""


class KeyUnusable(KernelError):
    """The file holds no RSA key that modules can be signed with, or no certificate."""


class WrongPassphrase(KernelError):
    """The key is encrypted, and the passphrase does not open it."""


class CertificateExpired(KernelError):
    """The certificate is past its end or before its beginning."""


class KeyMismatch(KernelError):
    """The key and the certificate don't belong together."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """An X.509 certificate of an RSA key."""

    der: bytes
    signer: SignerId
    x509: cryptography.x509.Certificate

    @property
    def common_name(self) -> str:
        from cryptography.x509.oid import NameOID

        names = self.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else self.x509.subject.rfc4514_string()

    @property
    def fingerprint(self) -> str:
        """sha256 of the DER, in hex."""
        import hashlib

        return hashlib.sha256(self.der).hexdigest()

    @property
    def for_development(self) -> bool:
        """Whether it names itself a development certificate; such signatures must not be published."""
        return DEVELOPMENT_MARK in self.common_name.lower().split()

    def verifies(self, signature: bytes, digest: bytes, hash_name: str) -> bool:
        """Whether `signature` is this key's over a message with that digest."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import padding, utils

        key: Any = self.x509.public_key()
        try:
            key.verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(_hash(hash_name)))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and the means to sign for it with one hash."""

    certificate: Certificate
    hash: str
    sign: Sign

    def signature(self, module: bytes | memoryview) -> bytes:
        """The DER signature of a module's content, checked. Raises `KeyMismatch` if the key made something else."""
        import hashlib

        raw = self.sign(bytes(module))
        if not self.certificate.verifies(raw, hashlib.new(self.hash, module).digest(), self.hash):
            raise KeyMismatch(
                f"the key made a signature that {self.certificate.common_name!r} does not accept with {self.hash}",
                hint="use the key of that certificate, RSA with PKCS#1 v1.5 padding and that hash",
            )
        return encode(ModuleSignature(self.certificate.signer, self.hash, raw))


def read_certificate(path: Path) -> Certificate:
    """A certificate in PEM or DER. Raises `KeyMissing`, `KeyUnusable`."""
    return parse_certificate(_read(path, "the certificate"), what=str(path))


def parse_certificate(content: bytes, *, what: str) -> Certificate:
    """The same from bytes."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        pem = b"-----BEGIN" in content
        certificate = x509.load_pem_x509_certificate(content) if pem else x509.load_der_x509_certificate(content)
        encoded = certificate.public_bytes(Encoding.DER)
        key = certificate.public_key()
    except Exception as problem:  # the library raises many kinds for bytes that are none
        raise KeyUnusable(f"{what} is not a certificate", location=Location(what)) from problem
    if not isinstance(key, RSAPublicKey):
        raise KeyUnusable(f"the key of {what} is not an RSA key", hint="modules are signed with RSA in all series")
    return Certificate(encoded, signer_id(encoded), certificate)


def open_identity(
    certificate: Path, key: Path, *, hash_name: str, passphrase: Callable[[], bytes], now: datetime | None = None
) -> Identity:
    """A key file (PKCS#8 or PKCS#1, PEM, perhaps encrypted) with its certificate, all checked.

    `passphrase` is asked only if the key is encrypted. Raises `KeyMissing`, `WrongPassphrase`, `KeyUnusable`,
    `CertificateExpired`, `KeyMismatch`.
    """
    return file_identity(read_certificate(certificate), key, hash_name=hash_name, passphrase=passphrase, now=now)


def file_identity(
    certificate: Certificate, key: Path, *, hash_name: str, passphrase: Callable[[], bytes], now: datetime | None = None
) -> Identity:
    """The same with a certificate that has been read."""
    private = _private_key(key, passphrase)
    from cryptography.hazmat.primitives.asymmetric import padding

    algorithm = _hash(hash_name)

    def sign(message: bytes) -> bytes:
        return bytes(private.sign(message, padding.PKCS1v15(), algorithm))

    if private.public_key() != certificate.x509.public_key():
        raise KeyMismatch(
            f"{key} is not the key of the certificate {certificate.common_name!r}",
            location=Location(str(key)),
            hint=f"compare: openssl pkey -in {key} -pubout; openssl x509 -in CERTIFICATE -pubkey -noout",
        )
    return identity(certificate, sign, hash_name=hash_name, now=now)


def identity(certificate: Certificate, sign: Sign, *, hash_name: str, now: datetime | None = None) -> Identity:
    """An identity from any signer. Signs a probe, so that a key that does not fit is found before anything is built.

    Raises `CertificateExpired`, `KeyMismatch`.
    """
    check_validity(certificate, now or datetime.now(UTC))
    result = Identity(certificate, hash_name, sign)
    result.signature(b"pkgtool: does this key belong to that certificate?")
    return result


def check_validity(certificate: Certificate, now: datetime) -> None:
    """Raise `CertificateExpired` outside the certificate's time. The kernel itself does not look at it."""
    start, end = certificate.x509.not_valid_before_utc, certificate.x509.not_valid_after_utc
    if now > end:
        raise CertificateExpired(
            f"the certificate {certificate.common_name!r} expired on {end:%Y-%m-%d}",
            hint="make a new key and certificate, and commit the certificate: kernels built from then on trust it",
        )
    if now < start:
        raise CertificateExpired(
            f"the certificate {certificate.common_name!r} is not valid before {start:%Y-%m-%d}",
            hint="is this machine's clock right?",
        )


def _hash(name: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, name.upper())()


def _private_key(path: Path, passphrase: Callable[[], bytes]) -> Any:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path, "the key")
    encrypted = b"ENCRYPTED" in content
    try:
        key = load_pem_private_key(content, passphrase() if encrypted else None)
    except ValueError as problem:
        if encrypted:
            raise WrongPassphrase(f"the passphrase of {path} is wrong", location=Location(str(path))) from problem
        raise KeyUnusable(f"{path} is not a private key in PEM", location=Location(str(path))) from problem
    if not isinstance(key, RSAPrivateKey):
        raise KeyUnusable(f"{path} is not an RSA key", hint="modules are signed with RSA in all series")
    return key


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise KeyMissing(
            f"{what} {path} can't be read: {problem.strerror}",
            location=Location(str(path)),
            hint="name another with --key and --certificate, or leave both out for this checkout's development key",
        ) from problem
