"""What every kind of private key offers: its public half, and signatures."""

from __future__ import annotations

from typing import Any, Protocol

from pkgtool.errors import SigningError
from pkgtool.signing.public_key import PublicKey, parameters


class Signer(Protocol):
    """A private key that signs messages, wherever it lies. Safe to use from several threads."""

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """The signature over `message` by the key's algorithm: ASN.1 DER for ECDSA, raw otherwise.

        Raises `SigningError` if the key can't be used any more.
        """
        ...


class MemorySigner:
    """A private key that was read into memory."""

    def __init__(self, key: Any, *, what: str) -> None:
        self._key = key
        self.public_key = PublicKey.of(key.public_key(), what=what)

    def sign(self, message: bytes) -> bytes:
        return bytes(self._key.sign(message, *parameters(self.public_key.algorithm)))


def checked(public_key: PublicKey, signature: bytes, message: bytes, *, by: str) -> bytes:
    """The signature, if it is what the key's algorithm gives.

    Whatever signs outside this process may hold another key than we were told, or use another padding: that must
    be found before anything is published. Raises `SigningError`.
    """
    if public_key.verifies(signature, message):
        return signature
    if public_key.verifies_pss(signature, message):
        raise SigningError(
            f"{by} made an RSA-PSS signature, which cosign does not accept",
            hint="have it sign with PKCS#1 v1.5 padding and SHA-256",
        )
    if public_key.verifies_curve_hash(signature, message):
        raise SigningError(
            f"{by} signs with a larger hash than SHA-256, which cosign accepts only with an option of its own",
            hint="use a P-256 key, or Ed25519",
        )
    raise SigningError(
        f"{by} made a signature that its own public key does not accept",
        hint=f"the public key is {public_key.fingerprint} ({public_key.algorithm}); is it the other half of that key?",
    )
