"""From the files of an unsigned kernel image to those of the published one.

Only two files change: kernel.tar gets its signatures, and kernel-modules.json says what each module is and who signed
it; with a Secure Boot key the kernel itself is signed too. The result is checked against the certificate inside that
very kernel before anybody sees it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import KernelError
from pkgtool.kernel import modsign, secureboot
from pkgtool.kernel.identity import Identity
from pkgtool.kernel.modsign import Progress, Sealed
from pkgtool.kernel.verify import Verified, trust_of, verify_archive

KERNEL, ARCHIVE, SYSTEM_MAP, CONFIG = "kernel", "kernel.tar", "System.map", "kernel-config"
MANIFEST = "kernel-modules.json"
SECURE_BOOT_CERTIFICATE = "kernel-secureboot.pem"


@dataclass(frozen=True, slots=True)
class SecureBootKey:
    """The key and certificate, in PEM files, that firmware trusts."""

    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class Signatures:
    """All that a key holder added to a kernel: enough to make the published image from an unsigned rebuild."""

    modules: Mapping[str, bytes]
    secure_boot: bytes = b""
    secure_boot_certificate: bytes = b""


def seal(
    unsigned: Path,
    target: Path,
    identity: Identity,
    *,
    secure_boot: SecureBootKey | None = None,
    progress: Progress | None = None,
    cancel: Cancellation | None = None,
) -> Signatures:
    """Sign the image files in `unsigned` into the new directory `target`.

    Raises `KernelError` if the kernel does not trust the identity's certificate, or a module can't be signed.
    """
    trust = trust_of(unsigned / KERNEL, unsigned / SYSTEM_MAP, (unsigned / CONFIG).read_text())
    if identity.certificate.signer not in trust.certificates:
        known = ", ".join(repr(c.common_name) for c in trust.certificates.values())
        raise KernelError(
            f"this kernel does not trust the certificate {identity.certificate.common_name!r}, but {known}",
            hint="a kernel is built for one certificate: build it again with this one, or sign with that one's key",
        )
    _copy(unsigned, target)
    sealed = modsign.sign_archive(unsigned / ARCHIVE, target / ARCHIVE, identity, progress=progress, cancel=cancel)
    signatures = Signatures(sealed.signatures)
    if secure_boot:
        signed = secureboot.sign(unsigned / KERNEL, key=secure_boot.key, certificate=secure_boot.certificate)
        signatures = Signatures(sealed.signatures, signed, secure_boot.certificate.read_bytes())
    _finish(unsigned, target, sealed, signatures)
    return signatures


def reseal(unsigned: Path, target: Path, signatures: Signatures) -> None:
    """Give an unsigned rebuild the published signatures. The same rebuild gives the published files, byte for byte."""
    _copy(unsigned, target)
    sealed = modsign.attach_signatures(unsigned / ARCHIVE, target / ARCHIVE, signatures.modules)
    _finish(unsigned, target, sealed, signatures)


def check(directory: Path) -> Verified:
    """Verify every module of an image's files against the kernel beside it."""
    trust = trust_of(directory / KERNEL, directory / SYSTEM_MAP, (directory / CONFIG).read_text())
    return verify_archive(directory / ARCHIVE, trust)


def _copy(unsigned: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in sorted(unsigned.iterdir()):
        if path.is_file() and path.name != ARCHIVE:
            shutil.copyfile(path, target / path.name)


def _finish(unsigned: Path, target: Path, sealed: Sealed, signatures: Signatures) -> None:
    text = json.dumps(sealed.manifest(), indent=1, sort_keys=True, ensure_ascii=False)
    (target / MANIFEST).write_text(f"{text}\n")
    if signatures.secure_boot:
        secureboot.attach(unsigned / KERNEL, signatures.secure_boot, target / KERNEL)
        (target / SECURE_BOOT_CERTIFICATE).write_bytes(signatures.secure_boot_certificate)
        secureboot.verify(target / KERNEL, target / SECURE_BOOT_CERTIFICATE)
    check(target).require()
