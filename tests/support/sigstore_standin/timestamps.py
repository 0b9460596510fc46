"""The timestamp authority: openssl's, with a certificate of our own."""

from __future__ import annotations

import datetime as dt
import subprocess
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.sigstore_standin import certificates
from tests.support.sigstore_standin.certificates import Authority

_CONFIGURATION = """\
[tsa]
default_tsa = standin
[standin]
serial = {directory}/serial
signer_cert = {directory}/signer.pem
signer_key = {directory}/signer.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.57264.2
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class TimestampAuthority:
    """Answers RFC 3161 queries."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self.authority = Authority.create("timestamp root")
        key = ec.generate_private_key(ec.SECP256R1())
        start = certificates.now() - certificates.ONE_DAY
        lifetime = dt.timedelta(days=3000)
        self.certificate = (
            self.authority.builder(certificates.distinguished_name("timestamps"), key.public_key(), start, lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(certificates.key_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .sign(self.authority.key, hashes.SHA256())
        )
        directory.mkdir(parents=True)
        (directory / "signer.pem").write_text(certificates.pem(self.certificate))
        (directory / "signer.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (directory / "serial").write_text("01\n")
        (directory / "tsa.cnf").write_text(_CONFIGURATION.format(directory=directory))

    def answer(self, query: bytes) -> bytes:
        with self._lock:
            asked = self._directory / "query"
            asked.write_bytes(query)
            command = ["openssl", "ts", "-reply", "-config", str(self._directory / "tsa.cnf"), "-queryfile", str(asked)]
            return subprocess.run(command, check=True, capture_output=True).stdout
