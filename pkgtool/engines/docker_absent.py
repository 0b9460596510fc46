"""Why no Docker engine answers on this machine, and the command that changes that."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from pkgtool import programs
from pkgtool.engines import docker_client

_SOCKET = "/var/run/docker.sock"
_SYSTEMD = Path("/run/systemd/system")
_SYSV_SCRIPT = Path("/etc/init.d/docker")


@dataclass(frozen=True, slots=True)
class Absence:
    """What is wrong, in a few words, and a command."""

    reason: str
    remedy: str


def explain() -> Absence:
    """Look at where an engine was looked for. Raises `EngineError` for a context that does not exist."""
    address = str(docker_client.from_environment()["base_url"])
    if address != f"unix://{_SOCKET}":
        return _elsewhere(address)
    if _may_not_be_used(_SOCKET):
        user = getpass.getuser()
        return Absence(
            f"{user} may not use the engine's socket {_SOCKET}",
            f"sudo usermod --append --groups docker {user}, then log in anew",
        )
    if programs.find("dockerd") is None:
        return Absence("no engine is installed", programs.install_hint("docker"))
    return Absence("the engine is installed, but not running", start_command())


def start_command() -> str:
    """What starts the engine that is installed: by systemd or by the system's script, else itself."""
    if _SYSTEMD.is_dir():
        return "sudo systemctl start docker"
    return "sudo service docker start" if _SYSV_SCRIPT.exists() else "sudo dockerd"


def _elsewhere(address: str) -> Absence:
    if os.environ.get("DOCKER_HOST"):
        return Absence(f"no engine answers at {address}, which DOCKER_HOST names", "unset DOCKER_HOST")
    return Absence(f"no engine answers at {address}, which the current context names", "docker context use default")


def _may_not_be_used(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(docker_client.PROBE_SECONDS)
        try:
            probe.connect(path)
        except PermissionError:
            return True
        except OSError:
            pass
        return False
