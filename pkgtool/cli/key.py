"""Keys to sign with: make a new pair, print a public key, show what a key is; whom keyless signatures rest on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pkgtool.cli import options
from pkgtool.errors import ExitCode, UsageError

EXAMPLES = """\
examples:
  pkgtool key generate release                  release.key (encrypted) and release.pub
  pkgtool key public pkcs11:token=release > release.pub
  pkgtool key show release.key
  pkgtool key trusted-root > trusted_root.json  of the public sigstore instance, verified by TUF
"""
_ALGORITHMS = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-pkcs1v15")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("generate", "public", "show", "trusted-root"), help="what to do")
    parser.add_argument("key", nargs="?", default="", metavar="NAME|URI", help="generate: the files' name; else a key")
    parser.add_argument("--algorithm", choices=_ALGORITHMS, default="ecdsa-p256", help="generate: the kind of key")
    parser.add_argument("--trust-config", type=Path, metavar="FILE", help="trusted-root: an instance of one's own")
    parser.add_argument("--key-password-file", type=Path, metavar="FILE", help="the passphrase, in a file")


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.signing.keys import open_public_key, password_from

    if parsed.action == "trusted-root":
        from pkgtool.signing.keyless import trusted_root

        options.emit(trusted_root(parsed.trust_config).decode())
        return ExitCode.OK
    if not parsed.key:
        raise UsageError(f"{parsed.action} needs a name or a key", hint="pkgtool key --help")
    if parsed.action == "generate":
        return _generate(parsed)
    key = open_public_key(parsed.key, password_from(parsed.key_password_file))
    if parsed.action == "public":
        options.emit(key.pem)
        return ExitCode.OK
    facts = {"algorithm": str(key.algorithm), "fingerprint": key.fingerprint, "hint": key.hint}
    options.emit(json.dumps(facts, indent=2) if parsed.json else "\n".join(f"{n}: {v}" for n, v in facts.items()))
    return ExitCode.OK


def _generate(parsed: argparse.Namespace) -> int:
    from pkgtool.signing.keys.generate import generate, write
    from pkgtool.signing.keys.passphrase import new_secret
    from pkgtool.signing.public_key import Algorithm

    if ":" in parsed.key:
        raise UsageError("generate makes files: name them without .key and .pub", hint="pkgtool key generate release")
    passphrase = new_secret(file=parsed.key_password_file)(f"the new key {parsed.key}.key")
    pair = generate(passphrase, Algorithm(parsed.algorithm))
    private, public = Path(f"{parsed.key}.key"), Path(f"{parsed.key}.pub")
    write(pair, private, public)
    options.emit(
        json.dumps({"private": str(private), "public": str(public)}) if parsed.json else f"{private}\n{public}"
    )
    return ExitCode.OK
