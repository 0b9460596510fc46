"""What a booted kernel with a package on it must do: say a line, prompt for a login, let ssh in."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pkgtool import process
from pkgtool.kernel.boot.cpio import Node
from pkgtool.kernel.boot.guest import BootFailed, Guest, boot
from pkgtool.kernel.boot.initramfs import READY, initramfs, write
from pkgtool.kernel.boot.machine import Forward, Machine
from pkgtool.process import ProcessFailed

_SSH_PORT = 22
_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Workload:
    """A root file system and the shell commands that start what is in it. `tools` is a static busybox."""

    rootfs: tuple[Node, ...]
    script: str
    tools: Path


@dataclass(frozen=True, slots=True)
class Evidence:
    """A scenario that came out well: how long it took from QEMU's start, in seconds, and what was said."""

    seconds: float
    said: str
    transcript: str


@contextlib.contextmanager
def running(
    machine: Machine, workload: Workload, *, seconds: float, on_text: Callable[[str], None] | None = None
) -> Iterator[Guest]:
    """Boot a workload and wait until its script starts."""
    nodes = initramfs(workload.rootfs, workload.script, tools=workload.tools)
    with tempfile.TemporaryDirectory(prefix="pkgtool-initramfs-") as directory:
        archive = write(Path(directory) / "initramfs", nodes)
        with boot(replace(machine, initramfs=archive), seconds=seconds, on_text=on_text) as guest:
            guest.expect(READY, seconds)
            yield guest


def console_says(machine: Machine, workload: Workload, patterns: Iterable[str], *, seconds: float) -> Evidence:
    """Boot, and wait for each pattern in order on the console. Raises `BootFailed`."""
    with running(machine, workload, seconds=seconds) as guest:
        said = [guest.expect(pattern, seconds).group() for pattern in patterns]
        return Evidence(time.monotonic() - guest.started, "\n".join(said), guest.transcript)


def login_prompt(machine: Machine, workload: Workload, *, seconds: float) -> Evidence:
    """Boot to getty's prompt."""
    return console_says(machine, workload, [r"^.*login: ?$"], seconds=seconds)


def ssh(
    machine: Machine, workload: Workload, command: str, *, key: Path, seconds: float, user: str = "root"
) -> Evidence:
    """Boot, and run `command` in the guest over ssh, through a TCP connection to the guest's network card.

    `key` is a private key whose public half the workload accepts. Raises `BootFailed`.
    """
    port = free_port()
    networked = replace(machine, network=True, forwards=(*machine.forwards, Forward(port, _SSH_PORT)))
    deadline = time.monotonic() + seconds
    with running(networked, workload, seconds=seconds) as guest:
        while True:
            try:
                done = process.run(
                    _ssh_call(port, key, user, command), why="log in to a booted kernel", timeout=seconds
                )
            except ProcessFailed as problem:
                # 255 is ssh's own failure: most likely the server is not up yet.
                if problem.returncode != 255 or time.monotonic() > deadline:
                    details = [*problem.details, *guest.transcript.splitlines()[-15:]]
                    raise BootFailed(f"ssh into the guest failed: {problem.message}", details=details) from problem
                time.sleep(_RETRY_SECONDS)
            else:
                return Evidence(time.monotonic() - guest.started, done.text, guest.transcript)


def free_port() -> int:
    """A TCP port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ssh_call(port: int, key: Path, user: str, command: str) -> list[str]:
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "IdentitiesOnly": "yes",
        # The guest makes its host key at its first start, which is this one.
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    settings = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "/dev/null", *settings, "-i", str(key), "-p", str(port), f"{user}@127.0.0.1", command]
