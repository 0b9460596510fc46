"""cosign's encrypted private keys, read and written.

A PEM block whose content is JSON: PKCS#8 DER in a NaCl secretbox, its key derived from the passphrase by scrypt
(github.com/sigstore/cosign pkg/cosign/keys.go, github.com/secure-systems-lab/go-securesystemslib encrypted).
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any

from pkgtool.errors import SigningError
from pkgtool.oci import documents

LABELS = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
_N, _R, _P = 65536, 8, 1
_KEY_LENGTH = 32
_SALT_LENGTH = 32
_MAX_MEMORY = 1 << 30
"""Bytes. scrypt needs 128·N·r; a key file from elsewhere must not be able to ask for all of the machine."""


def is_cosign_key(content: bytes) -> bool:
    """Whether a file's content is such a key."""
    return any(b"-----BEGIN " + label + b"-----" in content for label in LABELS)


def decrypt(content: bytes, passphrase: bytes, *, what: str) -> Any:
    """The private key object. Raises `SigningError` for a wrong passphrase or a malformed file."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    salt, cost, nonce, ciphertext = _parse(content, what)
    try:
        der = SecretBox(_derive(passphrase, salt, *cost)).decrypt(ciphertext, nonce)
    except CryptoError as problem:
        raise SigningError(f"the passphrase of {what} is wrong") from problem
    except ValueError as problem:
        raise SigningError(f"{what} is damaged: {problem}") from problem
    try:
        return load_der_private_key(der, None)
    except (ValueError, TypeError) as problem:
        raise SigningError(f"{what} holds no private key in PKCS#8 form") from problem


def encrypt(key: Any, passphrase: bytes) -> bytes:
    """A private key object as an encrypted PEM block."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from nacl.secret import SecretBox

    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, nonce = os.urandom(_SALT_LENGTH), os.urandom(SecretBox.NONCE_SIZE)
    sealed = SecretBox(_derive(passphrase, salt, _N, _R, _P)).encrypt(der, nonce).ciphertext
    document = {
        "kdf": {"name": "scrypt", "params": {"N": _N, "r": _R, "p": _P}, "salt": _base64(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": _base64(nonce)},
        "ciphertext": _base64(sealed),
    }
    text = _base64(documents.encode(document))
    lines = "".join(f"{text[start : start + 64]}\n" for start in range(0, len(text), 64))
    label = LABELS[0].decode()
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n".encode()


def _parse(content: bytes, what: str) -> tuple[bytes, tuple[int, int, int], bytes, bytes]:
    """Salt, scrypt's N, r, p, nonce and ciphertext."""
    lines = content.strip().splitlines()
    body = b"".join(line.strip() for line in lines if not line.startswith(b"-----") and b":" not in line)
    try:
        document = documents.decode(base64.b64decode(body, validate=True), what=what, error=SigningError)
        kdf, cipher = document["kdf"], document["cipher"]
        if kdf["name"] != "scrypt" or cipher["name"] != "nacl/secretbox":
            raise SigningError(f"{what} is encrypted with {kdf['name']} and {cipher['name']}, which is not known here")
        cost = (int(kdf["params"]["N"]), int(kdf["params"]["r"]), int(kdf["params"]["p"]))
        if min(cost) < 1 or 128 * cost[0] * cost[1] > _MAX_MEMORY or cost[2] > 16:
            raise SigningError(f"{what} asks for unreasonable scrypt parameters {cost}")
        salt, nonce, sealed = (
            base64.b64decode(text, validate=True) for text in (kdf["salt"], cipher["nonce"], document["ciphertext"])
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as problem:
        raise SigningError(f"{what} is not a cosign key file: {problem!r}") from problem
    return salt, cost, nonce, sealed


def _derive(passphrase: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=_KEY_LENGTH, n=n, r=r, p=p).derive(passphrase)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
