"""A virtual machine to boot a kernel in: QEMU's arguments, as data.

Emulation (TCG) is the rule. A /dev/kvm that opens may still not run a guest, so hardware help is used only where a
probe boot has shown that it works.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pkgtool.errors import KernelError

TCG, KVM = "tcg", "kvm"


@dataclass(frozen=True, slots=True)
class Forward:
    """A TCP port of this machine's loopback that leads to a port of the guest."""

    host_port: int
    guest_port: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What is booted. `memory` is in MiB; without `network` the guest has no network card."""

    kernel: Path
    initramfs: Path | None = None
    arch: str = "amd64"
    append: str = ""
    memory: int = 512
    network: bool = False
    forwards: tuple[Forward, ...] = field(default=())
    accelerator: str = TCG

    def arguments(self, console: Path) -> list[str]:
        """The call of QEMU; the guest's serial console is the Unix socket `console`, and QEMU waits for its reader."""
        if self.arch not in _ARCHES:
            raise KernelError(f"there is no machine to boot {self.arch} in", hint=f"known: {', '.join(_ARCHES)}")
        program, board, processor, serial = _ARCHES[self.arch]
        initramfs = ["-initrd", str(self.initramfs)] if self.initramfs else []
        init = "rdinit=/init " if self.initramfs else ""
        return [
            program,
            *("-accel", self.accelerator, "-cpu", "host" if self.accelerator == KVM else processor, "-machine", board),
            *("-m", str(self.memory), "-smp", "1", "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"),
            *("-chardev", f"socket,id=console,path={console},server=on,wait=on", "-serial", "chardev:console"),
            *("-device", "virtio-rng-pci"),
            *self._network(),
            *("-kernel", str(self.kernel), *initramfs),
            *("-append", f"console={serial},115200 panic=-1 {init}{self.append}".strip()),
        ]

    def _network(self) -> list[str]:
        if not (self.network or self.forwards):
            return []
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{f.host_port}-:{f.guest_port}" for f in self.forwards)
        return ["-netdev", f"user,id=net0{forwards}", "-device", "virtio-net-pci,netdev=net0"]


_ARCHES = {
    "amd64": ("qemu-system-x86_64", "pc", "qemu64", "ttyS0"),
    "arm64": ("qemu-system-aarch64", "virt", "cortex-a57", "ttyAMA0"),
}


def kvm_is_worth_a_probe() -> bool:
    """Whether /dev/kvm can be opened and is not of the kind that hangs an ordinary guest."""
    if Path("/sys/module/kvm_pvm").exists():
        return False
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError:
        return False
    return True
