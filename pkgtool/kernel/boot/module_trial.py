"""The kernel itself as judge of its modules: the signed one must load, every forgery must be refused.

The forgeries are made here from the signed module: its content without a signature, with one bit changed, with a
signature cut short, and signed by a key made for this purpose alone.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pkgtool.errors import KernelError
from pkgtool.kernel.boot import cpio
from pkgtool.kernel.boot.guest import BootFailed, boot
from pkgtool.kernel.boot.initramfs import ENDED, initramfs, write
from pkgtool.kernel.boot.machine import Machine
from pkgtool.kernel.development import ensure_development_key
from pkgtool.kernel.identity import open_identity
from pkgtool.kernel.signature import decode, split, trailer

GENUINE = "signed"
_CASE = "pkgtool case"


@dataclass(frozen=True, slots=True)
class Trial:
    """What the kernel did with one variant of the module; `said` are the lines of its console about it."""

    variant: str
    loaded: bool
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleTrial:
    """The outcome of a boot, with its transcript as evidence."""

    module: str
    trials: tuple[Trial, ...]
    listed: str
    """The module's line in /proc/modules, or empty."""
    transcript: str
    seconds: float
    """From QEMU's start to the guest's end."""

    def require(self) -> None:
        """Raise `BootFailed` unless exactly the genuine module was loaded."""
        wrong = [t for t in self.trials if t.loaded != (t.variant == GENUINE)]
        if wrong or not self.listed or not self.trials:
            told = [f"{t.variant}: {'loaded' if t.loaded else 'refused'}: {' '.join(t.said)}" for t in self.trials]
            raise BootFailed(f"the kernel does not judge {self.module} as it should", details=told)


def forgeries(module: bytes) -> dict[str, bytes]:
    """Variants of a signed module that a kernel must refuse. Raises `KernelError` if the module is not signed."""
    content, signature = split(memoryview(module))
    if signature is None:
        raise KernelError("the module for a boot test is not signed")
    plain = bytes(content)
    # A byte in the middle is in the code or its relocations, which nothing but the signature protects.
    position = len(plain) // 2
    flipped = plain[:position] + bytes((plain[position] ^ 1,)) + plain[position + 1 :]
    with tempfile.TemporaryDirectory(prefix="pkgtool-foreign-") as directory:
        key, certificate = ensure_development_key(Path(directory))
        foreign = open_identity(certificate, key, hash_name=decode(signature).hash, passphrase=lambda: b"")
        signed_by_other = plain + trailer(foreign.signature(plain))
    return {
        "unsigned": plain,
        "tampered": flipped + trailer(signature),
        "truncated": plain + trailer(signature[: len(signature) // 2]),
        "foreign": signed_by_other,
    }


def try_modules(
    machine: Machine,
    files: Mapping[str, bytes],
    name: str,
    *,
    tools: Path,
    seconds: float,
    on_text: Callable[[str], None] | None = None,
) -> ModuleTrial:
    """Boot and insert each variant of module `name`, the genuine one last, after what it depends on.

    `files` is kernel.tar's content by path, with signed modules. Raises `KernelError`, `BootFailed`.
    """
    order = dependencies(files, name)
    variants = {**forgeries(files[order[-1]]), GENUINE: files[order[-1]]}
    needed = {f"needed-{number}": files[path] for number, path in enumerate(order[:-1])}
    nodes = initramfs(
        [cpio.file(f"modules/{key}.ko", content) for key, content in {**needed, **variants}.items()],
        _script(list(needed), list(variants), name),
        tools=tools,
    )
    with tempfile.TemporaryDirectory(prefix="pkgtool-modules-") as directory:
        archive = write(Path(directory) / "initramfs", nodes)
        with boot(replace(machine, initramfs=archive), seconds=seconds, on_text=on_text) as guest:
            guest.expect(ENDED, seconds)
            return _read(guest.transcript, name, list(variants), time.monotonic() - guest.started)


def dependencies(files: Mapping[str, bytes], name: str) -> list[str]:
    """The paths of what a module needs, in loading order, itself last (depmod's modules.dep)."""
    table = next((path for path in files if path.endswith("/modules.dep")), None)
    if table is None:
        raise KernelError("kernel.tar has no modules.dep")
    base = str(PurePosixPath(table).parent)
    for line in files[table].decode().splitlines():
        path, _, needs = line.partition(":")
        if PurePosixPath(path).stem.replace("-", "_") == name.replace("-", "_"):
            return [f"{base}/{need}" for need in (*reversed(needs.split()), path)]
    raise KernelError(f"this kernel has no module {name}", hint="see kernel/config/, or it is built in")


def _script(needed: list[str], variants: list[str], name: str) -> str:
    lines = [f"$b insmod /modules/{key}.ko" for key in needed]
    for variant in variants:
        lines += [
            f'echo "{_CASE} {variant}"',
            f"$b insmod /modules/{variant}.ko",
            f'echo "{_CASE} {variant} status $?"',
        ]
    # What printk holds back on a quiet console is part of the evidence.
    lines += ["$b dmesg | $b tail -n 12", f'echo "pkgtool list: $($b grep "^{name} " /proc/modules)"']
    return "\n".join([*lines, ""])


def _read(transcript: str, name: str, variants: list[str], seconds: float) -> ModuleTrial:
    trials = []
    for variant in variants:
        found = re.search(
            rf"^{_CASE} {variant}\n(?P<said>.*?)^{_CASE} {variant} status (?P<status>\d+)$",
            transcript,
            re.MULTILINE | re.DOTALL,
        )
        if not found:
            raise BootFailed(f"the guest did not try the {variant} module", details=transcript.splitlines()[-25:])
        said = tuple(line.strip() for line in found["said"].splitlines() if line.strip())
        trials.append(Trial(variant, found["status"] == "0", said))
    listed = re.search(r"^pkgtool list: (.*)$", transcript, re.MULTILINE)
    return ModuleTrial(name, tuple(trials), listed[1] if listed else "", transcript, seconds)
