"""A certificate authority for tests, and what it issues, as PEM files."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pkgtool.nodes import Trust

_VALID = dt.timedelta(days=2)


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A self-signed root in `directory`; `ca` is its certificate's file."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _distinguished(name)
        builder = _builder(self._name, self._name, self._key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.ca = directory / "ca.pem"
        _write(self.ca, builder.sign(self._key, hashes.SHA256()))

    def issue(self, name: str, *addresses: str, lifetime: dt.timedelta = _VALID) -> Pair:
        """A certificate for `name` (a client), or for IP addresses and host names (a server)."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_distinguished(name), self._name, key, lifetime)
        if addresses:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(a) for a in addresses]), False)
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        _write(pair.certificate, builder.sign(self._key, hashes.SHA256()))
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        pair.key.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
        return pair

    def trust(self, client: Pair, *, server_name: str = "") -> Trust:
        """What a client needs that shows this pair and trusts this authority."""
        return Trust(str(self.ca), str(client.certificate), str(client.key), server_name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: dt.timedelta = _VALID
) -> x509.CertificateBuilder:
    end = dt.datetime.now(dt.UTC) + lifetime
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - 2 * _VALID - dt.timedelta(hours=1))
        .not_valid_after(end)
    )


def _distinguished(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
