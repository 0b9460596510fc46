"""New key pairs, in the form that `cosign generate-key-pair` gives them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkgtool.errors import SigningError
from pkgtool.oci import files
from pkgtool.signing.keys import cosign_key
from pkgtool.signing.public_key import Algorithm, PublicKey


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key, encrypted, and its public half; both PEM."""

    private: bytes
    public: PublicKey


def generate(passphrase: bytes, algorithm: Algorithm = Algorithm.ECDSA_P256) -> KeyPair:
    """A new key pair from the system's random numbers."""
    key = _new(algorithm)
    return KeyPair(cosign_key.encrypt(key, passphrase), PublicKey.of(key.public_key(), what="the new key"))


def write(pair: KeyPair, private: Path, public: Path) -> None:
    """Write both halves; the private one is readable by its owner alone.

    Raises `SigningError` if either file exists: a key that was overwritten is gone for good.
    """
    for path in (private, public):
        if path.exists():
            raise SigningError(f"{path} exists and is not overwritten", hint="choose another name, or move it away")
    try:
        private.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pair.private)
            file.flush()
            os.fsync(file.fileno())
        files.write_atomic(public, pair.public.pem.encode())
    except OSError as problem:
        raise SigningError(f"the key can't be written: {problem.strerror} ({problem.filename})") from problem


def _new(algorithm: Algorithm) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm is Algorithm.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm is Algorithm.RSA:
        return rsa.generate_private_key(65537, 3072)
    curves: dict[Algorithm, ec.EllipticCurve] = {
        Algorithm.ECDSA_P256: ec.SECP256R1(),
        Algorithm.ECDSA_P384: ec.SECP384R1(),
        Algorithm.ECDSA_P521: ec.SECP521R1(),
    }
    return ec.generate_private_key(curves[algorithm])
