"""What else answers on a machine besides buildkitd: an SSH server, a Docker engine with mutual TLS."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.remote.certificates import Authority
from tests.support.remote.machines import Machine

DOCKER_PORT = 2376
_SSHD = Path("/usr/sbin/sshd")
_DOCKERD = Path("/usr/sbin/dockerd")


@dataclass(frozen=True)
class SSHHost:
    """A machine that root can log in to. `client` is a directory with an `ssh` that knows its key and shows its own."""

    machine: Machine
    client: Path

    @property
    def known_hosts(self) -> Path:
        return self.client / "known_hosts"


@contextmanager
def ssh_host(machine: Machine, place: Path, **environment: str) -> Iterator[SSHHost]:
    """A running sshd whose sessions have this environment."""
    if not _SSHD.exists():
        raise RuntimeError(f"{_SSHD} is missing: sudo apt-get install openssh-server")
    place.mkdir()
    client = place / "client"
    client.mkdir(mode=0o700)
    for key in (place / "host_key", client / "key"):
        _keygen("-q", "-t", "ed25519", "-N", "", "-f", str(key))
    (place / "authorized_keys").write_bytes((client / "key.pub").read_bytes())
    given = " ".join(f'{name}="{value}"' for name, value in environment.items())
    settings = f"""\
ListenAddress {machine.address}
HostKey {place}/host_key
AuthorizedKeysFile {place}/authorized_keys
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv {given}
"""
    (place / "sshd_config").write_text(settings)
    (client / "known_hosts").write_text(f"{machine.address} {(place / 'host_key.pub').read_text()}")
    # ssh takes the home directory from the account, not from HOME: this is how a test keeps out of that one.
    (client / "config").write_text(
        f"IdentityFile {client}/key\nIdentitiesOnly yes\nUserKnownHostsFile {client}/known_hosts\n"
        "GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n"
    )
    (client / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {client}/config "$@"\n')
    (client / "ssh").chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    with _running(machine, place, [str(_SSHD), "-D", "-e", "-f", f"{place}/sshd_config"], 22):
        yield SSHHost(machine, client)


@contextmanager
def docker_host(machine: Machine, place: Path, authority: Authority) -> Iterator[str]:
    """Debian's Docker engine at tcp://ADDRESS:2376 for whoever shows a certificate; also on a socket of its own.

    Answers the socket's path.
    """
    if not _DOCKERD.exists():
        raise RuntimeError(f"{_DOCKERD} is missing: sudo apt-get install docker.io")
    place.mkdir()
    server = authority.issue(f"docker-{machine.name}", machine.address)
    (place / "daemon.json").write_text(json.dumps({"features": {"buildkit": True}}))
    command = [
        *(str(_DOCKERD), "--config-file", f"{place}/daemon.json", "--host", f"unix://{place}/docker.sock"),
        *("--host", f"tcp://{machine.address}:{DOCKER_PORT}", "--tlsverify", f"--tlscacert={authority.ca}"),
        *(f"--tlscert={server.certificate}", f"--tlskey={server.key}"),
        *("--data-root", f"{place}/data", "--exec-root", f"{place}/exec", "--pidfile", f"{place}/pid"),
        *("--iptables=false", "--ip6tables=false"),
    ]
    with _running(machine, place, command, DOCKER_PORT, stop=subprocess.Popen.terminate):
        yield f"{place}/docker.sock"


def _keygen(*arguments: str) -> None:
    subprocess.run(["ssh-keygen", *arguments], check=True, stdin=subprocess.DEVNULL)


@contextmanager
def _running(
    machine: Machine,
    place: Path,
    command: list[str],
    port: int,
    *,
    stop: Callable[[subprocess.Popen[bytes]], None] = subprocess.Popen.kill,
) -> Iterator[None]:
    log = place / "log"
    with log.open("wb") as output:
        process = machine.start(command, output)
    try:
        for _ in range(900):
            assert process.poll() is None, log.read_text(errors="replace")
            with suppress(OSError), socket.create_connection((machine.address, port), 1):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(log.read_text(errors="replace"))
        yield
    finally:
        stop(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
