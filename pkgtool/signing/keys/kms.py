"""Keys in a cloud's key management service, through securesystemslib.

    awskms:KEY          a key id, its ARN, an alias, or an alias ARN
    gcpkms:projects/…/cryptoKeyVersions/N
    azurekms:VAULT/KEY
    hashivault:KEY      the transit engine at VAULT_ADDR (Ed25519 keys)

cosign's spelling with slashes (`awskms:///KEY`, `hashivault://KEY`) means the same. Credentials are those that each
service's own library finds in its environment; none pass through here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pkgtool.errors import SigningError
from pkgtool.signing.keys.signer import checked
from pkgtool.signing.public_key import PublicKey

_PKCS1 = "rsa-pkcs1v15-sha256"
_EXTRA_HINT = "pip install 'securesystemslib[awskms,azurekms,gcpkms,vault]'"


class KmsSigner:
    """A key that a service keeps; it only ever sees digests (Vault: messages) and gives signatures."""

    def __init__(self, remote: Any, public_key: PublicKey, *, what: str) -> None:
        self._remote = remote
        self._what = what
        self._lock = threading.Lock()
        self.public_key = public_key

    def sign(self, message: bytes) -> bytes:
        try:
            with self._lock:
                signature = bytes.fromhex(self._remote.sign(message).signature)
        except Exception as problem:  # each service's library has errors of its own
            raise _failed(self._what, "can't sign", problem) from problem
        return checked(self.public_key, signature, message, by=self._what)


def open_kms_key(uri: str) -> KmsSigner:
    """Ask the service for the public key, and keep what signs with it.

    Raises `SigningError` if the library is missing, the service refuses, or the key is of a kind that is not used here.
    """
    scheme, _, rest = uri.partition(":")
    name = rest.lstrip("/")
    what = f"the key {scheme}:{name}"
    try:
        remote = _OPENERS[scheme](name)
    except Exception as problem:
        if type(problem).__name__ == "UnsupportedLibraryError" or isinstance(problem, ImportError):
            raise SigningError(
                f"{what} needs a library that is not installed: {problem}", hint=_EXTRA_HINT
            ) from problem
        if isinstance(problem, SigningError):
            raise
        raise _failed(what, "can't be used", problem) from problem
    return KmsSigner(remote, _public_key(remote.public_key, what), what=what)


def _signer_class(scheme: str) -> Any:
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME  # type: ignore[attr-defined]  # it re-exports without __all__

    return SIGNER_FOR_URI_SCHEME[scheme]


def _aws(name: str) -> Any:
    signer = _signer_class("awskms")
    uri, key = signer.import_(name)
    if key.keytype == "rsa":  # its default is PSS
        uri, key = signer.import_(name, _PKCS1)
    return signer.from_priv_key_uri(uri, key)


def _gcp(name: str) -> Any:
    signer = _signer_class("gcpkms")
    return signer.from_priv_key_uri(*signer.import_(name))


def _azure(name: str) -> Any:
    signer = _signer_class("azurekms")
    vault, slash, key = name.removesuffix("/").partition("/")
    if not slash:
        raise SigningError(f"azurekms:{name} does not name a vault and a key", hint="azurekms:VAULT/KEY")
    return signer.from_priv_key_uri(*signer.import_(vault.partition(".")[0], key))


def _vault(name: str) -> Any:
    signer = _signer_class("hv")
    return signer.from_priv_key_uri(*signer.import_(name))


_OPENERS: dict[str, Callable[[str], Any]] = {"awskms": _aws, "gcpkms": _gcp, "azurekms": _azure, "hashivault": _vault}
SCHEMES = frozenset(_OPENERS)


def _public_key(key: Any, what: str) -> PublicKey:
    """securesystemslib keeps a key as PEM, Ed25519 as 32 bytes in hexadecimal."""
    if "pss" in key.scheme:
        raise SigningError(
            f"{what} makes RSA-PSS signatures, which cosign does not accept", hint="use a PKCS#1 v1.5 key"
        )
    text = key.keyval["public"]
    if key.keytype == "ed25519" and "BEGIN" not in text:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return PublicKey.of(Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)), what=what)
    return PublicKey.parse(text.encode(), what=what)


def _failed(what: str, doing: str, problem: Exception) -> SigningError:
    return SigningError(
        f"{what} {doing}: {type(problem).__name__}: {problem}",
        hint="the service's own command-line program shows whether the credentials and the name are right",
    )
