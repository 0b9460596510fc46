"""Machines of their own, as far as one kernel has them: a network namespace with an address, reached by a veth pair.

What runs in one also has namespaces of its own for processes and mounts, so that one signal ends all of it, as a
power failure would.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_IP = "/usr/sbin/ip"


@dataclass(frozen=True)
class Machine:
    """A namespace by name, its address, and the address of this side."""

    name: str
    address: str
    here: str

    def start(self, command: Sequence[str], output: IO[bytes], *, cpus: str = "") -> subprocess.Popen[bytes]:
        """Run a program there. Killing the process that comes back ends all that the program started."""
        pinned = ["taskset", "--cpu-list", cpus] if cpus else []
        own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
        return subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.name}", "--", *own, *pinned, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def unplug(self) -> None:
        """Cut the cable: packets are lost, and nobody is told."""
        _ip(f"link set {self.name} down")


@contextmanager
def machine(label: str) -> Iterator[Machine]:
    """A machine that is gone after the block. Needs root."""
    if os.geteuid() != 0:
        raise RuntimeError("network namespaces need root: sudo make test")
    number = random.randrange(1, 1 << 14)  # of the /30 networks in 100.64.0.0/16, which no one routes
    subnet = f"100.64.{number >> 6}.{(number & 63) << 2}".rpartition(".")
    here, there = (f"{subnet[0]}.{int(subnet[2]) + offset}" for offset in (1, 2))
    name = f"pt{number}{label}"[:15]
    _ip(f"netns add {name}")
    try:
        _ip(f"link add {name} type veth peer name eth0 netns {name}")
        _ip(f"address add {here}/30 dev {name}")
        _ip(f"link set {name} up")
        _ip(f"-n {name} address add {there}/30 dev eth0")
        for device in ("lo", "eth0"):
            _ip(f"-n {name} link set {device} up")
        yield Machine(name, there, here)
    finally:
        subprocess.run([_IP, "link", "delete", name], capture_output=True)
        _ip(f"netns delete {name}")


def _ip(arguments: str) -> None:
    if not Path(_IP).exists():
        raise RuntimeError("ip is missing: sudo apt-get install iproute2")
    done = subprocess.run([_IP, *arguments.split()], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)
