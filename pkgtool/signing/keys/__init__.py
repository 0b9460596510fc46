"""Keys by URI. What a scheme needs is imported when it is used, so that a key file costs nothing of a cloud's library.

PATH, file:PATH            cosign's encrypted key, PKCS#8 or SEC 1 PEM, OpenSSH
env://NAME                 the same, in an environment variable
ssh-agent:SELECTOR         a fingerprint or comment as `ssh-add -l` shows it
pkcs11:…                   RFC 7512
awskms:, gcpkms:, azurekms:, hashivault:
"""

from __future__ import annotations

import re
from pathlib import Path

from pkgtool.errors import SigningError
from pkgtool.signing.keys import files
from pkgtool.signing.keys.passphrase import Ask, password_from, secret_source
from pkgtool.signing.keys.signer import Signer
from pkgtool.signing.public_key import PublicKey

__all__ = ["Ask", "PublicKey", "Signer", "open_public_key", "open_signer", "password_from", "secret_source"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")
_KMS = ("awskms:", "gcpkms:", "azurekms:", "hashivault:")


def open_signer(uri: str, ask: Ask | None = None) -> Signer:
    """The private key that `uri` names; `ask` gives its passphrase or PIN (default: environment, then terminal).

    Raises `SigningError` for an unknown scheme, a missing key, a wrong passphrase, a kind of key that is not used.
    """
    if uri.startswith("env:"):
        return files.from_environment(_variable(uri), ask or secret_source())
    if uri.startswith("ssh-agent:"):
        from pkgtool.signing.keys.ssh_agent import open_agent_key

        return open_agent_key(uri.removeprefix("ssh-agent:"))
    if uri.startswith("pkcs11:"):
        from pkgtool.signing.keys.pkcs11_key import open_pkcs11_key

        return open_pkcs11_key(uri, ask)
    if uri.startswith(_KMS):
        from pkgtool.signing.keys.kms import open_kms_key

        return open_kms_key(uri)
    return files.from_file(_path(uri), ask or secret_source())


def open_public_key(uri: str, ask: Ask | None = None) -> PublicKey:
    """The public key that `uri` names: a public key file or variable, or the public half of any private key."""
    if uri.startswith("env:"):
        name = _variable(uri)
        return _public(files.read_variable(name), ask, what=f"the key in ${name}")
    if uri.startswith(("ssh-agent:", "pkcs11:", *_KMS)):
        return open_signer(uri, ask).public_key
    path = _path(uri)
    return _public(files.read(path), ask, what=f"the key {path}")


def _public(content: bytes, ask: Ask | None, *, what: str) -> PublicKey:
    if b"PRIVATE KEY-----" in content:
        return files.from_content(content, ask or secret_source(), what=what).public_key
    return PublicKey.parse(content, what=what)


def _variable(uri: str) -> str:
    return uri.removeprefix("env:").removeprefix("//")


def _path(uri: str) -> Path:
    if uri.startswith("file:"):
        return Path(uri.removeprefix("file:").removeprefix("//"))
    if _SCHEME.match(uri) and not Path(uri).exists():
        raise SigningError(
            f"the key {uri!r} has an unknown scheme",
            hint="a path, file:, env://NAME, ssh-agent:, pkcs11:, awskms:, gcpkms:, azurekms:, hashivault:",
        )
    return Path(uri)
