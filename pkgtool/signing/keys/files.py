"""Private keys that lie in a file or in an environment variable: cosign's, PKCS#8 and SEC 1 PEM, OpenSSH's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pkgtool.errors import SigningError
from pkgtool.signing.keys import cosign_key
from pkgtool.signing.keys.passphrase import Ask
from pkgtool.signing.keys.signer import MemorySigner


def from_file(path: Path, ask: Ask) -> MemorySigner:
    """The key in a file. Raises `SigningError` for a missing file, a wrong passphrase, a wrong kind of key."""
    return from_content(read(path), ask, what=f"the key {path}")


def from_environment(name: str, ask: Ask) -> MemorySigner:
    """The key in an environment variable."""
    return from_content(read_variable(name), ask, what=f"the key in ${name}")


def read(path: Path) -> bytes:
    """A key file's content. Raises `SigningError`."""
    try:
        return path.read_bytes()
    except FileNotFoundError as problem:
        raise SigningError(
            f"there is no key {path}", hint=f"'pkgtool key generate {path.stem}' makes one, or name another with --key"
        ) from problem
    except OSError as problem:
        raise SigningError(f"the key {path} can't be read: {problem.strerror}") from problem


def read_variable(name: str) -> bytes:
    """A key in an environment variable. Raises `SigningError`."""
    content = os.environ.get(name, "")
    if not content:
        raise SigningError(f"the environment has no ${name}, which was to hold the key")
    return content.encode()


def from_content(content: bytes, ask: Ask, *, what: str) -> MemorySigner:
    """A key from its encoding."""
    return MemorySigner(_load(content, ask, what), what=what)


def _load(content: bytes, ask: Ask, what: str) -> Any:
    if cosign_key.is_cosign_key(content):
        return cosign_key.decrypt(content, ask(what), what=what)
    if b"PRIVATE KEY-----" not in content:
        hint = "this is a public key; signing needs the private one" if _looks_public(content) else None
        raise SigningError(f"{what} is not a private key in PEM form", hint=hint)
    try:
        return _load_pem(content, None)
    except TypeError:  # what `cryptography` says when a passphrase is needed
        passphrase = ask(what)
    except ValueError as problem:
        # OpenSSH's encrypted keys say it so.
        if "password" not in str(problem).lower():
            raise _unusable(what, problem) from problem
        passphrase = ask(what)
    try:
        return _load_pem(content, passphrase or None)
    except (ValueError, TypeError) as problem:
        raise SigningError(f"the passphrase of {what} is wrong") from problem


def _load_pem(content: bytes, passphrase: bytes | None) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        if b"OPENSSH PRIVATE KEY" in content:
            return serialization.load_ssh_private_key(content, passphrase)
        return serialization.load_pem_private_key(content, passphrase)
    except UnsupportedAlgorithm as problem:
        raise SigningError(f"the private key is of a kind that can't be used: {problem}") from problem


def _unusable(what: str, problem: Exception) -> SigningError:
    # The library's text may quote the input; only its kind is passed on.
    return SigningError(f"{what} is not a private key that can be read ({type(problem).__name__})")


def _looks_public(content: bytes) -> bool:
    return b"PUBLIC KEY-----" in content or content.startswith((b"ssh-", b"ecdsa-sha2-"))
