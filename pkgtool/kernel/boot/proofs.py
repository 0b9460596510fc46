"""What a kernel must have done, with the tree's own packages on it, before it is called good.

Each proof boots a machine of its own and ends with what the console said. The packages are not changed: their
programs are started as their images start them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pkgtool import process
from pkgtool.kernel.boot import cpio, module_trial, vsock_trial
from pkgtool.kernel.boot.cpio import Node
from pkgtool.kernel.boot.guest import BootFailed
from pkgtool.kernel.boot.machine import Machine
from pkgtool.kernel.boot.scenarios import Workload, console_says, login_prompt, ssh

GETTY_COMMAND = "/usr/bin/rungetty.sh"
SSHD_COMMAND = "/usr/bin/ssh.sh"
_FIRST_WITH_LOOPBACK = (5, 6)


@dataclass(frozen=True, slots=True)
class Proof:
    """Something that was shown: how long it took from QEMU's start in seconds, and the guest's own words."""

    what: str
    seconds: float
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bench:
    """What proofs are made with: a machine, a static busybox for it, and a limit in seconds for each boot."""

    machine: Machine
    tools: Path
    seconds: float
    on_text: Callable[[str], None] | None = field(default=None, compare=False)

    def prompt(self, getty: Sequence[Node]) -> Proof:
        """The login prompt of the getty package on the console."""
        workload = Workload(tuple(getty), f"{GETTY_COMMAND}\n", self.tools)
        shown = login_prompt(self.machine, workload, seconds=self.seconds)
        return Proof("getty prompts on the console", shown.seconds, (shown.said.strip(),))

    def remote_shell(self, sshd: Sequence[Node], release: str) -> Proof:
        """A command through the sshd package, over the guest's network card. Raises `BootFailed`."""
        with tempfile.TemporaryDirectory(prefix="pkgtool-ssh-") as directory:
            key = Path(directory) / "key"
            process.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], why="log in to a booted kernel"
            )
            nodes = (
                *sshd,
                cpio.directory("root/.ssh", 0o700),
                cpio.file("root/.ssh/authorized_keys", key.with_suffix(".pub").read_bytes(), 0o600),
            )
            workload = Workload(nodes, f"{SSHD_COMMAND}\n", self.tools)
            shown = ssh(self.machine, workload, "uname -a", key=key, seconds=self.seconds)
        if release not in shown.said.split():
            raise BootFailed(f"ssh reached another kernel than {release}", details=[shown.said])
        return Proof("ssh reaches sshd", shown.seconds, (shown.said,))

    def forwarding(self, system: Sequence[Node], vsudd: Sequence[Node], forwarder: Sequence[Node]) -> Proof:
        """The packages vsudd and vpnkit-forwarder forward vsock connections to a service's Unix socket.

        Over the guest's own loopback; `system` is a root file system with perl, which plays the service and its client.
        """
        script = vsock_trial.VSUDD + vsock_trial.FORWARDER
        workload = Workload((*system, *vsudd, *forwarder), script, self.tools)
        shown = console_says(self.machine, workload, vsock_trial.ANSWERS, seconds=self.seconds)
        return Proof("vsudd and vpnkit-forwarder forward over vsock", shown.seconds, tuple(shown.said.splitlines()))

    def modules(self, files: Mapping[str, bytes], name: str) -> Proof:
        """The signed module loads, and every forgery of it is refused. Raises `BootFailed`."""
        trial = module_trial.try_modules(
            self.machine, files, name, tools=self.tools, seconds=self.seconds, on_text=self.on_text
        )
        trial.require()
        said = [f"{t.variant}: {'loaded' if t.loaded else ' / '.join(t.said)}" for t in trial.trials]
        return Proof(f"signed {name} loads, forgeries are refused", trial.seconds, (*said, trial.listed))


def has_vsock_loopback(version: str) -> bool:
    """Whether a kernel can connect to itself over vsock (vsock_loopback, since 5.6)."""
    numbers = tuple(int(part) for part in version.split(".")[:2])
    return numbers >= _FIRST_WITH_LOOPBACK
