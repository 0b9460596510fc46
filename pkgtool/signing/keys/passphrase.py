"""Where passphrases and PINs come from: a file, the environment, or a prompt. Never an argument."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pkgtool.errors import SigningError

KEY_VARIABLES = ("PKGTOOL_KEY_PASSWORD", "COSIGN_PASSWORD")
PIN_VARIABLES = ("PKGTOOL_KEY_PIN", "COSIGN_PKCS11_PIN")

Ask = Callable[[str], bytes]
"""Gives the secret for the thing that the argument names."""


def secret_source(
    *,
    file: Path | None = None,
    variables: Sequence[str] = KEY_VARIABLES,
    option: str = "--key-password-file FILE",
    prompt: Callable[[str], str] | None = None,
) -> Ask:
    """Look in `file`, then in the environment, then ask the person at the terminal.

    A variable that is set and empty means an empty passphrase. What it returns raises `SigningError` if there is
    nobody to ask. `prompt` replaces the terminal.
    """

    def ask(what: str) -> bytes:
        if file is not None:
            return read_secret(file)
        for name in variables:
            if name in os.environ:
                return os.environ[name].encode()
        question = prompt or _terminal()
        if question is None:
            raise SigningError(
                f"{what} needs a passphrase, and there is no terminal to ask at",
                hint=f"put it into the environment as {variables[0]}, or into a file: {option}",
            )
        return question(f"Passphrase of {what}: ").encode()

    return ask


def password_from(file: Path | None) -> Ask | None:
    """The file's secret, if one is named; None leaves it to each kind of key where its own comes from."""
    return secret_source(file=file) if file else None


def new_secret(*, file: Path | None = None, prompt: Callable[[str], str] | None = None) -> Ask:
    """As `secret_source`, for a key that is about to be made: a person is asked twice, and must say the same."""
    terminal = prompt or _terminal()

    def ask_twice(question: str) -> str:
        assert terminal is not None
        first = terminal(question)
        if terminal("Again: ") != first:
            raise SigningError("the two passphrases differ", hint="nothing was made; try again")
        return first

    return secret_source(file=file, prompt=ask_twice if terminal else None)


def read_secret(file: Path) -> bytes:
    """The first line of a file. Raises `SigningError` if it can't be read."""
    try:
        return file.read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
    except OSError as problem:
        raise SigningError(f"the passphrase file {file} can't be read: {problem.strerror}") from problem


def _terminal() -> Callable[[str], str] | None:
    if not sys.stdin or not sys.stdin.isatty():
        return None
    import getpass

    return getpass.getpass
