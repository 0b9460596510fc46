"""Signing the modules of a built kernel, outside its build; and putting published signatures back.

`kernel.tar` with unsigned modules + a key → `kernel.tar` with signed ones, the signatures on their own, a manifest.
The same unsigned archive and the same signatures, from whomever, give the same signed archive: so a stranger who
rebuilds the unsigned kernel reaches the published bytes without the key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkgtool.cancel import Cancellation
from pkgtool.errors import KernelError
from pkgtool.kernel import module_archive
from pkgtool.kernel.identity import Identity
from pkgtool.kernel.module_archive import ArchivedModule, ModuleArchive, open_archive
from pkgtool.kernel.signature import Malformed, decode, split, trailer

SIGNATURE_SUFFIX = ".p7s"

Progress = Callable[[int, int], None]
"""Modules done, modules in all."""


@dataclass(frozen=True, slots=True)
class SealedModule:
    """One signed module. Digests are sha256 in hex, of the module with and without its signature."""

    path: str
    sha256: str
    unsigned_sha256: str
    signer: str
    hash: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """The outcome of signing: the manifest of modules, and each module's detached signature by its path."""

    modules: tuple[SealedModule, ...]
    signatures: Mapping[str, bytes]

    def manifest(self) -> dict[str, Any]:
        """kernel-modules.json."""
        return {
            "modules": [
                {"path": m.path, "sha256": m.sha256, "unsigned": m.unsigned_sha256, "signer": m.signer, "hash": m.hash}
                for m in self.modules
            ]
        }


def sign_archive(
    unsigned: Path,
    signed: Path,
    identity: Identity,
    *,
    progress: Progress | None = None,
    cancel: Cancellation | None = None,
) -> Sealed:
    """Sign every module of an archive. RSA releases Python's lock, so threads use all processors.

    Raises `KernelError` for a module that already has a signature, `KeyMismatch` for a key that signs differently.
    """
    with open_archive(unsigned) as archive:
        _require_unsigned(archive)

        def signature(module: ArchivedModule) -> bytes:
            if cancel:
                cancel.check()
            return identity.signature(archive.content(module))

        signatures: dict[str, bytes] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for module, made in zip(archive.modules, pool.map(signature, archive.modules), strict=True):
                signatures[module.path] = made
                if progress:
                    progress(len(signatures), len(archive.modules))
        return _seal(archive, signed, signatures)


def attach_signatures(unsigned: Path, signed: Path, signatures: Mapping[str, bytes]) -> Sealed:
    """Give every module of an archive its published signature. No key is needed, and none is trusted: verify after.

    Raises `KernelError` unless the signatures are for exactly the modules of the archive.
    """
    with open_archive(unsigned) as archive:
        _require_unsigned(archive)
        paths = {module.path for module in archive.modules}
        wrong = sorted(paths ^ signatures.keys())
        if wrong:
            raise KernelError(
                f"the signatures are not those of this archive: {len(wrong)} modules differ",
                details=[f"{'no signature for' if path in paths else 'no module for'} {path}" for path in wrong[:10]],
            )
        return _seal(archive, signed, signatures)


def detach_signatures(signed: Path) -> dict[str, bytes]:
    """The signatures of a signed archive, by module. Raises `KernelError` for a module without one."""
    with open_archive(signed) as archive:
        return {module.path: _signature_of(archive, module) for module in archive.modules}


def _seal(archive: ModuleArchive, target: Path, signatures: Mapping[str, bytes]) -> Sealed:
    sealed: list[SealedModule] = []

    def contents(module: ArchivedModule) -> tuple[memoryview, bytes]:
        content, signature = archive.content(module), signatures[module.path]
        appended = trailer(signature)
        digest = hashlib.sha256(content)
        unsigned = digest.hexdigest()
        digest.update(appended)
        try:
            said = decode(signature)
        except Malformed as problem:
            raise KernelError(f"{module.path}: {problem}") from problem
        sealed.append(SealedModule(module.path, digest.hexdigest(), unsigned, said.signer.text, said.hash))
        return content, appended

    module_archive.rewrite(archive, target, contents)
    return Sealed(tuple(sealed), dict(signatures))


def _require_unsigned(archive: ModuleArchive) -> None:
    for module in archive.modules:
        try:
            signed = split(archive.content(module))[1] is not None
        except Malformed:
            signed = True
        if signed:
            raise KernelError(
                f"{module.path} already has a signature",
                hint="the build must leave modules unsigned: MODULE_SIG_ALL off, MODULE_SIG_KEY empty",
            )


def _signature_of(archive: ModuleArchive, module: ArchivedModule) -> bytes:
    try:
        signature = split(archive.content(module))[1]
    except Malformed as problem:
        raise KernelError(f"{module.path}: {problem}") from problem
    if signature is None:
        raise KernelError(f"{module.path} has no signature")
    return signature
