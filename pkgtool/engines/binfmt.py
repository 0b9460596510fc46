"""Whether programs of a foreign platform can run here: the kernel's binfmt_misc and its handlers.

What counts is what the kernel would do with such a program, so a handler is recognised by its magic and mask
(Documentation/admin-guide/binfmt-misc.rst), not by its name, which differs between distributions.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pkgtool import programs
from pkgtool.errors import EngineError
from pkgtool.values import Platform

BINFMT_MISC = Path("/proc/sys/fs/binfmt_misc")

_NATIVE = {"x86_64": ("amd64", "386"), "aarch64": ("arm64",), "armv7l": ("arm",), "i686": ("386",)}
_ELF = {
    "386": (1, "<", 3),
    "amd64": (2, "<", 62),
    "arm": (1, "<", 40),
    "arm64": (2, "<", 183),
    "loong64": (2, "<", 258),
    "mips64le": (2, "<", 8),
    "ppc64le": (2, "<", 21),
    "riscv64": (2, "<", 243),
    "s390x": (2, ">", 22),
}
"""Class, byte order and e_machine of an executable's header (elf(5))."""


@dataclass(frozen=True, slots=True)
class Handler:
    """An entry of binfmt_misc. With `fixed` the interpreter is open already, so that it serves inside a chroot."""

    name: str
    interpreter: str
    fixed: bool
    offset: int
    magic: bytes
    mask: bytes

    def takes(self, header: bytes) -> bool:
        """Whether the kernel hands a file that starts so to this handler."""
        part = header[self.offset : self.offset + len(self.magic)]
        if len(part) < len(self.magic):
            return False
        mask = self.mask or b"\xff" * len(self.magic)
        return all((a & m) == (b & m) for a, b, m in zip(part, self.magic, mask, strict=False))


def runs_natively(platform: Platform) -> bool:
    """Whether this machine's processor runs programs of the platform itself."""
    machine = os.uname().machine
    return platform.os == "linux" and platform.arch in _NATIVE.get(machine, (machine,))


def handler(platform: Platform, place: Path = BINFMT_MISC) -> Handler | None:
    """The enabled handler for the platform's programs, or None."""
    header = elf_header(platform)
    return next((entry for entry in _handlers(place) if header and entry.takes(header)), None)


def obstacle(platform: Platform, place: Path = BINFMT_MISC) -> str:
    """Why programs of the platform can't run here, or nothing: the mount is missing, the handler, or its flag F,
    without which it does not serve in a chroot."""
    if runs_natively(platform):
        return ""
    found = handler(platform, place)
    return "" if found and found.fixed else _problem(found, place)


def require(platform: Platform, why: str, place: Path = BINFMT_MISC) -> None:
    """Make sure that programs of the platform can run; `why` says what needs it. Raises `EngineError`."""
    problem = obstacle(platform, place)
    if problem:
        raise EngineError(
            f"programs for {platform} can't run on this machine: {problem} ({why})", hint=remedy(platform, place)
        )


def remedy(platform: Platform, place: Path = BINFMT_MISC) -> str:
    """The commands that let programs of a platform run here: Debian's emulators, then what systemd would do."""
    qemu = f"qemu-{_QEMU.get(platform.arch, platform.arch)}"
    if not (programs.find(f"{qemu}-static") or programs.find(qemu)):
        return "sudo apt-get install qemu-user-static, then see what pkgtool doctor says"
    steps = []
    if not (place / "register").exists():
        steps.append(f"sudo mount -t binfmt_misc binfmt_misc {place}")
    found = handler(platform, place)
    if found:
        steps.append(f"echo -1 | sudo tee {place / found.name}")
    steps.append(f"sudo tee {place}/register </usr/lib/binfmt.d/{qemu}.conf")
    return " && ".join(steps)


def elf_header(platform: Platform) -> bytes:
    """The first 20 bytes of an executable for the platform; empty for one that is not known."""
    if platform.arch not in _ELF:
        return b""
    width, order, machine = _ELF[platform.arch]
    ident = b"\x7fELF" + bytes([width, 1 if order == "<" else 2, 1]) + bytes(9)
    return ident + struct.pack(f"{order}HH", 2, machine)


def _handlers(place: Path) -> Iterator[Handler]:
    try:
        entries = sorted(place.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name not in ("register", "status"):
            found = parse(entry.name, entry.read_text("ascii", "replace"))
            if found:
                yield found


def parse(name: str, text: str) -> Handler | None:
    """A handler from its file in binfmt_misc; None for one that is disabled or goes by a file's extension."""
    lines = text.splitlines()
    fields = dict(line.partition(" ")[::2] for line in lines[1:])
    if not lines or lines[0] != "enabled" or "magic" not in fields:
        return None
    return Handler(
        name=name,
        interpreter=fields.get("interpreter", ""),
        fixed="F" in fields.get("flags:", ""),
        offset=int(fields.get("offset", "0")),
        magic=bytes.fromhex(fields["magic"]),
        mask=bytes.fromhex(fields.get("mask", "")),
    )


def _problem(found: Handler | None, place: Path) -> str:
    if not (place / "register").exists():
        return "binfmt_misc is not mounted"
    if found is None:
        return "no emulator is registered for them"
    return f"their emulator {found.interpreter} is registered without the flag F and can't serve in a container"


_QEMU = {"386": "i386", "arm64": "aarch64", "loong64": "loongarch64", "mips64le": "mips64el"}
"""The names that QEMU has for architectures, where they are not ours."""
