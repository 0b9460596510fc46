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


def require(platform: Platform, why: str, place: Path = BINFMT_MISC) -> None:
    """Make sure that programs of the platform can run; `why` completes "… has to run: ".

    Raises `EngineError` that says what is missing: the mount, the handler, or the flag that lets it serve in a chroot.
    """
    if runs_natively(platform):
        return
    found = handler(platform, place)
    if found and found.fixed:
        return
    raise EngineError(
        f"programs for {platform} can't run on this machine: {_problem(found, place)} ({why})", hint=_hint(place)
    )


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


def _hint(place: Path) -> str:
    steps = [] if programs.find("qemu-aarch64-static") or programs.find("qemu-aarch64") else [_INSTALL]
    if not (place / "register").exists():
        steps.append(f"sudo mount -t binfmt_misc binfmt_misc {place}")
    steps.append("sudo systemctl restart systemd-binfmt (or, without systemd: " + _REGISTER + ")")
    return ", then ".join(steps)


_INSTALL = "sudo apt-get install qemu-user-static"
_REGISTER = f"for f in /usr/lib/binfmt.d/qemu-*.conf; do sudo tee {BINFMT_MISC}/register < $f; done"
