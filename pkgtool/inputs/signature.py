"""Signatures of upstream releases: gpgv against a keyring that the package carries.

kernel.org signs the uncompressed tar, so that `linux-6.12.tar.sign` belongs to `linux-6.12.tar.xz`: the
signature's name tells which bytes are signed.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import lzma
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from pkgtool import process
from pkgtool.cancel import Cancellation
from pkgtool.errors import InputError
from pkgtool.oci.files import CHUNK

_SIGNATURE_SUFFIXES = (".sign", ".sig", ".asc", ".gpg")
_COMPRESSIONS = (".xz", ".gz", ".bz2")
_ARMOR = re.compile(rb"-----BEGIN PGP [A-Z ]+-----\r?\n(?:[!-9;-~]+: .*\r?\n)*\r?\n(.*?)-----END PGP", re.DOTALL)
_STATUS = re.compile(r"\[GNUPG:\] (\w+) ?(.*)")


def compression_signed_without(file_url: str, signature_url: str) -> str:
    """The compression (`.xz`, …) that comes off before the signature is checked; empty for the file as it is."""
    signed = _base_name(signature_url)
    for suffix in _SIGNATURE_SUFFIXES:
        signed = signed.removesuffix(suffix)
    name = _base_name(file_url)
    return next((suffix for suffix in _COMPRESSIONS if name == signed + suffix), "")


def verify(
    name: str,
    file: Path,
    signature: Path,
    keyring: Path,
    *,
    compression: str = "",
    scratch: Path,
    cancel: Cancellation | None = None,
) -> str:
    """Check a detached signature; gives the fingerprint of the key that made it.

    `scratch` is an empty directory for a keyring that has to be unarmoured. Raises `InputError`, which says
    whether the signature is bad, by an unknown key, or none at all.
    """
    binary_keys = scratch / "keyring.gpg"
    binary_keys.write_bytes(_unarmored(_read(keyring, f"the keyring of {name}")))
    binary_signature = scratch / "signature.gpg"
    binary_signature.write_bytes(_unarmored(_read(signature, f"the signature of {name}")))
    command = ["gpgv", "--status-fd", "1", "--keyring", str(binary_keys), str(binary_signature), "-"]
    with _piped(file, compression) as stream:
        done = process.run(
            command,
            why=f"check the signature of {name}",
            stdin=stream,
            env={"GNUPGHOME": str(scratch)},
            accept=(0, 1, 2),
            cancel=cancel,
        )
    told = {found[1]: found[2] for line in done.text.splitlines() if (found := _STATUS.match(line))}
    if done.returncode == 0 and "VALIDSIG" in told:
        return told["VALIDSIG"].split()[0]
    raise InputError(
        f"the signature of {name} is refused: {_reason(told)}",
        details=done.errors.decode("utf-8", "replace").splitlines(),
        hint=f"gpg --show-keys {keyring} lists the keys that are accepted",
    )


def _reason(told: dict[str, str]) -> str:
    if "BADSIG" in told:
        return f"it does not fit the file (key {told['BADSIG'].split()[0]})"
    if "REVKEYSIG" in told:
        return f"its key {told['REVKEYSIG'].split()[0]} is revoked"
    if "NO_PUBKEY" in told:
        return f"it is made with key {told['NO_PUBKEY']}, which is not in the keyring"
    return "it is no usable signature"


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{what} can't be read: {error.strerror} ({path})") from error


def _unarmored(content: bytes) -> bytes:
    """The bytes inside ASCII armour (RFC 9580, 6.2), or the content itself if it has none."""
    blocks = _ARMOR.findall(content)
    if not blocks:
        return content
    try:
        return b"".join(base64.b64decode(re.sub(rb"\n=[^\n]{4}\s*\Z", b"", block)) for block in blocks)
    except binascii.Error as error:
        raise InputError(f"damaged ASCII armour: {error}") from error


def _open(path: Path, compression: str) -> IO[bytes]:
    if compression == ".xz":
        return lzma.open(path, "rb")
    if compression == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if compression == ".bz2":
        return bz2.open(path, "rb")
    return path.open("rb")


@contextmanager
def _piped(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """The decompressed file as a real pipe that a child can read; a thread feeds it."""
    reading, writing = os.pipe()
    problems: list[Exception] = []

    def feed() -> None:
        try:
            with os.fdopen(writing, "wb") as pipe, _open(path, compression) as file:
                while chunk := file.read(CHUNK):
                    pipe.write(chunk)
        except BrokenPipeError:
            pass  # gpgv has seen enough, its status tells
        except (OSError, EOFError, lzma.LZMAError) as error:
            problems.append(error)

    feeder = threading.Thread(target=feed, daemon=True)
    with os.fdopen(reading, "rb") as stream:
        feeder.start()
        yield stream
    feeder.join()
    if problems:
        raise InputError(f"the file can't be decompressed: {problems[0]}") from problems[0]


def _base_name(url: str) -> str:
    return url.partition("?")[0].rstrip("/").rpartition("/")[2]
