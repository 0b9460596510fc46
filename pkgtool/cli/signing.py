"""The options by which commands are told who signs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.errors import UsageError

if TYPE_CHECKING:
    from pkgtool.workflows.attestors import SigningOptions


def add_signing_options(parser: argparse.ArgumentParser) -> None:
    """Add who signs and where that is recorded."""
    group = parser.add_argument_group("signing (default: pkgtool.yml's `signing`)")
    group.add_argument(
        "--key", default="", metavar="URI", help="a key: FILE, env://NAME, ssh-agent:NAME, pkcs11:…, awskms:… and more"
    )
    group.add_argument("--key-password-file", type=Path, metavar="FILE", help="the key's passphrase, in a file")
    group.add_argument("--keyless", action="store_true", help="sign as the identity that CI (or a browser) gives")
    group.add_argument("--browser", action="store_true", help="keyless: sign in with a browser if need be")
    group.add_argument("--signer-command", default="", metavar="CMD", help="a program that signs its standard input")
    group.add_argument("--public-key", default="", metavar="FILE", help="the public key of --signer-command")
    group.add_argument("--trust-config", type=Path, metavar="FILE", help="keyless: a sigstore instance of one's own")
    group.add_argument("--signing-config", type=Path, metavar="FILE", help="with a key: record signatures in its log")
    group.add_argument("--trusted-root", type=Path, metavar="FILE", help="with --signing-config: the log's own keys")
    group.add_argument(
        "-a", "--annotation", action="append", default=[], metavar="K=V", help="an annotation to be signed, repeatable"
    )


def signing_options(parsed: argparse.Namespace) -> SigningOptions:
    """Raises `UsageError` for an annotation without a value."""
    from pkgtool.workflows.attestors import SigningOptions

    annotations = {}
    for entry in parsed.annotation:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise UsageError(f"the annotation {entry!r} is not of the form NAME=VALUE")
        annotations[name] = value
    return SigningOptions(
        key=parsed.key,
        keyless=parsed.keyless,
        signer_command=parsed.signer_command,
        public_key=parsed.public_key,
        password_file=parsed.key_password_file,
        trust_config=parsed.trust_config,
        signing_config=parsed.signing_config,
        trusted_root=parsed.trusted_root,
        browser=parsed.browser,
        annotations=annotations,
    )
