"""Any program as a signer: it gets the message on standard input and prints the signature.

`openssl dgst -sha256 -sign KEY` is such a program. The message is what the signature is over, to the byte: the
payload of a classic signature, or the pre-authentication encoding of a DSSE envelope, which holds the statement
and in it the image's digest. The answer may be raw or base64. The public key is given separately, as a file.
"""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Sequence

from pkgtool import process
from pkgtool.errors import SigningError
from pkgtool.process import ProcessFailed
from pkgtool.signing.keys.signer import checked
from pkgtool.signing.public_key import PublicKey

_TIMEOUT_SECONDS = 300.0
"""The program may ask its owner."""


class CommandSigner:
    """Runs the program once a signature, with the algorithm's name as PKGTOOL_SIGN_ALGORITHM in its environment."""

    def __init__(self, command: str | Sequence[str], public_key: PublicKey) -> None:
        self._argv = shlex.split(command) if isinstance(command, str) else list(command)
        if not self._argv:
            raise SigningError("the signer command is empty")
        self.public_key = public_key

    def sign(self, message: bytes) -> bytes:
        try:
            done = process.run(
                self._argv,
                why="sign (it was given as the signer command)",
                env={"PKGTOOL_SIGN_ALGORITHM": str(self.public_key.algorithm)},
                stdin=message,
                timeout=_TIMEOUT_SECONDS,
            )
        except ProcessFailed as problem:
            raise SigningError(
                f"the signer command failed: {problem.message}", details=problem.details, hint=problem.hint
            ) from problem
        if not done.output:
            raise SigningError("the signer command printed no signature")
        raw = self.public_key.verifies(done.output, message)
        signature = done.output if raw else _decoded(done.output)
        return checked(self.public_key, signature, message, by="the signer command")


def _decoded(output: bytes) -> bytes:
    """Base64 taken off, if it is base64."""
    try:
        return base64.b64decode(b"".join(output.split()), validate=True)
    except binascii.Error:
        return output
