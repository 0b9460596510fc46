"""BuildKit workers on machines of their own, with mutual TLS."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pkgtool.nodes import Endpoint, Node
from pkgtool.values import Platform
from tests.support.remote import buildkit_program
from tests.support.remote.certificates import Authority, Pair
from tests.support.remote.machines import Machine, machine

_PORT = 1234
_CONFIGURATION = """\
root = "{root}"
[grpc]
  address = ["tcp://0.0.0.0:{port}", "unix://{root}/buildkitd.sock"]
  [grpc.tls]
    cert = "{certificate}"
    key = "{key}"
    ca = "{ca}"
[otel]
  socketPath = "{root}/otel.sock"
[cdi]
  disabled = true
[worker.oci]
  enabled = true
  platforms = [{platforms}]
  networkMode = "host"
  gc = false
[worker.containerd]
  enabled = false
"""


@dataclass
class Worker:
    """A buildkitd, running or not.

    One that was killed starts with an empty disk: killed between two of its writes, BuildKit may refuse to work on what
    it left, and it is pkgtool that must lose nothing.
    """

    machine: Machine
    directory: Path
    authority: Authority
    client: Pair
    configuration: str
    cpus: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None)
    deaths: int = 0

    @property
    def root(self) -> Path:
        return self.directory / f"root-{self.deaths}"

    @property
    def socket(self) -> Path:
        return self.root / "buildkitd.sock"

    def node(self, name: str, *platforms: Platform, jobs: int = 2) -> Node:
        """How pkgtool reaches it."""
        endpoint = Endpoint("tcp", self.machine.address, _PORT)
        return Node(name, endpoint, platforms, self.authority.trust(self.client), jobs)

    def url(self, *, trust: bool = True) -> str:
        """Its address for `--builder`."""
        files = f"?ca={self.authority.ca}&cert={self.client.certificate}&key={self.client.key}" if trust else ""
        return f"tcp://{self.machine.address}:{_PORT}{files}"

    def start(self) -> None:
        command = [str(buildkit_program.programs() / "buildkitd"), f"--config={self.directory}/buildkitd.toml"]
        self.root.mkdir(parents=True)
        (self.directory / "buildkitd.toml").write_text(self.configuration.format(root=self.root))
        with (self.directory / "log").open("ab") as log:
            self.process = self.machine.start(command, log, cpus=self.cpus)
        for _ in range(600):
            assert self.process.poll() is None, self.log()
            with suppress(OSError), socket.create_connection((self.machine.address, _PORT), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"no worker: {self.log()}")

    def kill(self) -> None:
        """End it and every step it runs, at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.deaths += 1

    def log(self) -> str:
        return (self.directory / "log").read_text()


@contextmanager
def worker(
    directory: Path, label: str, authority: Authority, platforms: Sequence[str], *, cpus: str = ""
) -> Iterator[Worker]:
    """A running worker. The first of its platforms is what it says to be native."""
    with machine(label) as place:
        own = directory / label
        server = authority.issue(f"server-{label}", place.address)
        configuration = _CONFIGURATION.format(
            root="{root}",
            port=_PORT,
            certificate=server.certificate,
            key=server.key,
            ca=authority.ca,
            platforms=", ".join(f'"{name}"' for name in platforms),
        )
        made = Worker(place, own, authority, authority.issue(f"client-{label}"), configuration, cpus)
        try:
            made.start()
            yield made
        finally:
            made.kill()
