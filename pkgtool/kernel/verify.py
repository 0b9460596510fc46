"""Every module checked as the kernel will check it: against the certificates inside that very kernel image.

A trailer proves nothing. What counts is that the signature names a certificate in the kernel's list, is made with
the hash this kernel knows at boot, and fits every byte of the module.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pkgtool.errors import KernelError
from pkgtool.kernel.identity import Certificate
from pkgtool.kernel.image import certificates_in
from pkgtool.kernel.module_archive import ArchivedModule, open_archive
from pkgtool.kernel.signature import Malformed, SignerId, decode, split

_BATCH = 64


class Refusal(StrEnum):
    """Why a kernel would not take a module."""

    UNSIGNED = "unsigned"
    DAMAGED = "damaged"
    FOREIGN = "foreign"
    OTHER_HASH = "other-hash"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A module that would be refused."""

    path: str
    refusal: Refusal
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome over a set of modules."""

    modules: int
    findings: tuple[Finding, ...]

    def require(self) -> None:
        """Raise `KernelError` that lists what would be refused, if anything."""
        if self.findings:
            raise KernelError(
                f"{len(self.findings)} of {self.modules} modules would be refused by this kernel",
                details=[str(finding) for finding in self.findings[:20]],
                hint="sign the kernel again: pkgtool kernel sign",
            )


@dataclass(frozen=True, slots=True)
class Trust:
    """What a kernel believes: its certificates by signer, and the one hash for modules (empty: any)."""

    certificates: Mapping[SignerId, Certificate]
    hash: str = ""

    def check(self, path: str, module: memoryview) -> Finding | None:
        """What is wrong with a module, or None."""
        try:
            content, encoded = split(module)
            if encoded is None:
                return Finding(path, Refusal.UNSIGNED, "there is no signature at its end")
            said = decode(encoded)
        except Malformed as problem:
            return Finding(path, Refusal.DAMAGED, str(problem))
        certificate = self.certificates.get(said.signer)
        if certificate is None:
            return Finding(
                path, Refusal.FOREIGN, f"signed by a key with serial number {said.signer.text}, unknown to this kernel"
            )
        if self.hash and said.hash != self.hash:
            return Finding(path, Refusal.OTHER_HASH, f"signed with {said.hash}, but this kernel takes {self.hash}")
        if not certificate.verifies(said.signature, hashlib.new(said.hash, content).digest(), said.hash):
            return Finding(path, Refusal.CHANGED, f"its signature by {certificate.common_name!r} does not fit it")
        return None


def trust_of(kernel: Path, system_map: Path, config: str = "") -> Trust:
    """What the kernel image in a file trusts; with its .config also the hash. Raises `KernelError`."""
    try:
        found = certificates_in(kernel.read_bytes(), system_map.read_text("ascii", "replace"))
    except OSError as problem:
        raise KernelError(f"{problem.filename} can't be read: {problem.strerror}") from problem
    if not found:
        raise KernelError(
            f"{kernel} trusts no certificate: it would refuse every module",
            hint="build it with a certificate; see docs/kernels.md",
        )
    return Trust({certificate.signer: certificate for certificate in found}, _module_hash(config))


def verify_archive(archive: Path, trust: Trust) -> Verified:
    """Check every module of a kernel.tar."""
    with open_archive(archive) as opened:
        modules = opened.modules
        batches = [modules[start : start + _BATCH] for start in range(0, len(modules), _BATCH)]

        def check(batch: Sequence[ArchivedModule]) -> list[Finding]:
            found = (trust.check(module.path, opened.content(module)) for module in batch)
            return [finding for finding in found if finding]

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            findings = [finding for found in pool.map(check, batches) for finding in found]
    return Verified(len(modules), tuple(findings))


def verify_modules(modules: Iterable[tuple[str, bytes]], trust: Trust) -> Verified:
    """Check modules from anywhere, out-of-tree ones in a package's layer among them."""
    count, findings = 0, []
    for path, content in modules:
        count += 1
        finding = trust.check(path, memoryview(content))
        if finding:
            findings.append(finding)
    return Verified(count, tuple(findings))


def _module_hash(config: str) -> str:
    for line in config.splitlines():
        if line.startswith("CONFIG_MODULE_SIG_HASH="):
            return line.partition("=")[2].strip('"')
    return ""
