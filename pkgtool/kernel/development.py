"""A key pair for one checkout, for kernels that never leave the machine. Its certificate says what it is."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pkgtool.errors import KernelError
from pkgtool.kernel.identity import DEVELOPMENT_MARK, Certificate
from pkgtool.oci.files import write_atomic

_KEY, _CERTIFICATE = "development-key.pem", "development-certificate.pem"
_YEARS = 10


def ensure_development_key(directory: Path) -> tuple[Path, Path]:
    """The key and certificate files of a checkout, made if they are not there. The key is its owner's alone."""
    key, certificate = directory / _KEY, directory / _CERTIFICATE
    if not (key.exists() and certificate.exists()):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(directory / ".gitignore", b"*\n")
        _make(key, certificate)
    return key, certificate


def refuse_development(certificate: Certificate) -> None:
    """Raise `KernelError` for a development certificate: what it signs is not to be published."""
    if certificate.for_development:
        raise KernelError(
            f"the modules are signed by {certificate.common_name!r}, which nobody vouches for",
            hint="sign with a real key (`pkgtool kernel sign --key … --certificate …`), or --allow-development-keys",
        )


def _make(key_path: Path, certificate_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{DEVELOPMENT_MARK} modules {secrets.token_hex(4)}")])
    now = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_atomic(key_path, pem, mode=0o600)
    write_atomic(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
