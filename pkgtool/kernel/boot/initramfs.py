"""An initramfs around a root file system: what stands before a package when it is booted alone.

In a LinuxKit system the init package mounts and containerd starts services. Here a script on a static busybox does
the little of it that a test needs: pseudo file systems, the loopback and QEMU's user-mode network, one command, an
end. busybox lies in a directory of its own, so nothing of the root file system is hidden.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from pkgtool import programs
from pkgtool.errors import ToolMissing
from pkgtool.kernel.boot import cpio
from pkgtool.kernel.boot.cpio import Node

TOOLS = "pkgtool"
_PT_INTERP = 3
_MACHINES = {"amd64": 62, "arm64": 183}
"""EM_X86_64 and EM_AARCH64 (elf.h)."""
READY = "pkgtool: the guest is up"
ENDED = "pkgtool: ended with status"

_INIT = f"""#!/{TOOLS}/busybox sh
b=/{TOOLS}/busybox
$b mkdir -p /proc /sys /dev /run /tmp /var/log
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev 2>/dev/null
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
$b ifconfig lo 127.0.0.1 up 2>/dev/null
if [ -e /sys/class/net/eth0 ]; then
    # The address, gateway and name server of QEMU's user-mode network.
    $b ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
    $b route add default gw 10.0.2.2
fi
echo "{READY}"
. /{TOOLS}/run
echo "{ENDED} $?"
$b reboot -f
"""


def busybox(arch: str, path: Path | None = None) -> Path:
    """A statically linked busybox for a guest of this architecture: the one at `path`, else this machine's.

    Raises `ToolMissing`.
    """
    candidates = [path] if path else [Path(found) for found in (programs.find("busybox"),) if found]
    for candidate in candidates:
        if candidate.is_file() and is_static(candidate.read_bytes(), arch):
            return candidate
    raise ToolMissing(
        f"there is no static busybox for {arch}, the first program in a booted kernel",
        hint="sudo apt-get install busybox-static; of another platform, unpack it and name --busybox FILE",
    )


def is_static(program: bytes, arch: str) -> bool:
    """Whether a 64-bit ELF program is for `arch` and needs no dynamic linker: it has no PT_INTERP header (elf(5))."""
    if program[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", program, 18)[0] != _MACHINES.get(arch):
        return False
    start, (size, count) = struct.unpack_from("<Q", program, 32)[0], struct.unpack_from("<HH", program, 54)
    kinds = (struct.unpack_from("<I", program, start + index * size)[0] for index in range(count))
    return _PT_INTERP not in kinds


def initramfs(rootfs: Iterable[Node], script: str, *, tools: Path) -> list[Node]:
    """A root file system with an /init that runs `script` (busybox's shell, which knows `$b` as busybox).

    `tools` is a static busybox for the guest's architecture.
    """
    return [
        *rootfs,
        cpio.file(f"{TOOLS}/busybox", tools.read_bytes(), 0o755),
        cpio.file(f"{TOOLS}/run", script),
        cpio.file("init", _INIT, 0o755),
    ]


def write(path: Path, nodes: Sequence[Node]) -> Path:
    """Write an initramfs, uncompressed: under emulation unpacking costs more than reading."""
    with path.open("wb") as file:
        cpio.write(file, nodes)
    return path
