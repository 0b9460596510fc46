"""Our keys in the form that in-toto takes them."""

from __future__ import annotations

from typing import Any

from pkgtool.errors import SigningError
from pkgtool.signing.keys.signer import Signer
from pkgtool.signing.public_key import Algorithm, PublicKey


def functionary(key: PublicKey) -> Any:
    """A key as securesystemslib has it, under the id that in-toto's programs compute from the PEM file.

    Raises `SigningError` for keys that in-toto uses with another hash or padding than we do.
    """
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # it re-exports without __all__

    if key.algorithm not in (Algorithm.ECDSA_P256, Algorithm.ED25519):
        raise SigningError(
            f"in-toto does not take {key.algorithm} keys the way cosign does",
            hint="use an ECDSA P-256 or Ed25519 key for releases with in-toto",
        )
    return SSlibKey.from_crypto(load_der_public_key(key.der))


def key_document(key: PublicKey) -> dict[str, Any]:
    """A key as it stands in a layout."""
    made = functionary(key)
    return {"keyid": made.keyid, **made.to_dict()}


class SignerAdapter:
    """A signer of ours where the library wants one of its own."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.public_key = functionary(signer.public_key)

    def sign(self, payload: bytes) -> Any:
        from securesystemslib.signer import Signature  # type: ignore[attr-defined]

        return Signature(self.public_key.keyid, self._signer.sign(payload).hex())
