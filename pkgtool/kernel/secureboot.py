"""The kernel image itself signed for UEFI Secure Boot, with sbsigntool.

An Authenticode signature holds the time it was made, so two are never alike. As with modules it is made once, kept
on its own, and attached: the unsigned image and the published signature give the signed image to the byte.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pkgtool import process
from pkgtool.errors import KernelError
from pkgtool.process import ProcessFailed

_WHY = "sign kernels for Secure Boot"


def sign(kernel: Path, *, key: Path, certificate: Path) -> bytes:
    """A detached signature (PKCS#7, DER) over a kernel image. `key` is a PEM file without a passphrase.

    Raises `ToolMissing`, `KernelError`.
    """
    with tempfile.TemporaryDirectory(prefix="pkgtool-sbsign-") as directory:
        output = Path(directory) / "kernel.p7s"
        arguments = ["--detached", "--key", str(key), "--cert", str(certificate), "--output", str(output), str(kernel)]
        _run("sbsign", arguments, f"{kernel} can't be signed for Secure Boot")
        return output.read_bytes()


def attach(kernel: Path, signature: bytes, target: Path) -> None:
    """Write `kernel` with its signature to `target`."""
    with tempfile.TemporaryDirectory(prefix="pkgtool-sbattach-") as directory:
        detached, image = Path(directory) / "kernel.p7s", Path(directory) / "kernel"
        detached.write_bytes(signature)
        shutil.copyfile(kernel, image)
        _run("sbattach", ["--attach", str(detached), str(image)], f"the signature can't be attached to {kernel}")
        shutil.copyfile(image, target)


def detach(kernel: Path) -> bytes:
    """The signature that a kernel carries, as `sign` made it."""
    with tempfile.TemporaryDirectory(prefix="pkgtool-sbattach-") as directory:
        detached, image = Path(directory) / "kernel.p7s", Path(directory) / "kernel"
        shutil.copyfile(kernel, image)
        _run("sbattach", ["--detach", str(detached), str(image)], f"{kernel} carries no signature")
        return detached.read_bytes()


def verify(kernel: Path, certificate: Path) -> None:
    """Raise `KernelError` unless `kernel` carries a signature of that certificate's key."""
    _run("sbverify", ["--cert", str(certificate), str(kernel)], f"{kernel} is not signed by {certificate}")


def _run(program: str, arguments: list[str], failure: str) -> None:
    try:
        done = process.run([program, *arguments], why=_WHY)
    except ProcessFailed as problem:
        raise KernelError(failure, details=problem.details) from problem
    # sbverify and sbsign report some failures on standard error alone, with status 0.
    if b"error" in done.errors.lower():
        raise KernelError(failure, details=done.errors.decode("utf-8", "replace").splitlines())
