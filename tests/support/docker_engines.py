"""Real Docker engines that tests start and stop: Debian's own, and the newer one of Debian sid.

    pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("docker")]

    def test_it(docker_engine: DockerEngine, monkeypatch): ...   # once for each engine
    def test_it(docker_old: DockerEngine): ...                   # Debian 12's 20.10, overlay2 image store
    def test_it(docker_new: DockerEngine): ...                   # sid's 28, containerd image store

The fixtures come from `tests.support.docker_fixtures` (import them in the tests' conftest); the engines are started
once for all tests of the xdist group "docker". `monkeypatch.setenv("DOCKER_HOST", docker_engine.host)` leads pkgtool
to one. Each lives in namespaces of its own for processes, mounts and network (its bridge can't disturb the machine's),
on a socket, data root and pid file of its own, so that one signal ends it and every container it runs. Root is needed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import sid_tools

_START_SECONDS = 90
_STOP_SECONDS = 20


@dataclass(frozen=True)
class DockerEngine:
    """A running engine: its name here, the program it was started as, and where everything of it is."""

    name: str
    place: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> Path:
        return self.place / "docker.sock"

    @property
    def host(self) -> str:
        """What DOCKER_HOST must be."""
        return f"unix://{self.socket}"

    def log(self) -> str:
        """What the engine printed."""
        return (self.place / "log").read_text(errors="replace")

    def docker(self, *arguments: str) -> str:
        """Standard output of a `docker` command on this engine (the first client on PATH)."""
        command = ["docker", "--host", self.host, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def trust(self, registry: str, authority: Path) -> None:
        """Let it trust a registry (HOST:PORT) by an authority's certificate, in its own mount namespace alone."""
        inside = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "--"]
        place = f"/etc/docker/certs.d/{registry}"
        own = "mkdir -p /etc/docker; mountpoint -q /etc/docker || mount -t tmpfs none /etc/docker"
        command = f'{own}; mkdir -p "$0" && cat > "$0/ca.crt"'
        subprocess.run([*inside, "sh", "-c", command, place], input=authority.read_bytes(), check=True)

    def images(self) -> set[str]:
        """The names of the images that it has."""
        return set(self.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split())


@contextmanager
def old(place: Path) -> Iterator[DockerEngine]:
    """The engine of the machine's package docker.io (20.10 on Debian 12)."""
    program = Path("/usr/sbin/dockerd")
    if not program.exists():
        raise RuntimeError(f"{program} is missing: sudo apt-get install docker.io")
    with _running("docker", place, [str(program)], os.environ["PATH"], {"features": {"buildkit": True}}) as engine:
        yield engine


@contextmanager
def new(place: Path) -> Iterator[DockerEngine]:
    """The engine of sid's package docker.io, with the containerd image store.

    The engine and runc start themselves again by /proc/self/exe, so a starter that calls sid's dynamic linker will
    not do: in the engine's mount namespace sid's libraries lie over the machine's own.
    """
    root = sid_tools.unpacked("docker.io")
    (libraries,) = root.glob("usr/lib/*-linux-gnu")
    here = Path("/") / libraries.relative_to(root)
    overlay = f"mount -t overlay sid -o lowerdir={libraries}:{here} {here}"
    programs = place / "bin"
    programs.mkdir(parents=True)
    for name in ("bin/containerd", "bin/containerd-shim-runc-v2", "bin/runc", "bin/docker-init", "sbin/dockerd"):
        (programs / Path(name).name).symlink_to(root / "usr" / name)
    command = ["sh", "-c", f'{overlay} && exec "$0" "$@"', str(programs / "dockerd")]
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    settings = {"features": {"containerd-snapshotter": True}}
    with _running("docker-containerd", place, command, path, settings) as engine:
        yield engine


@contextmanager
def _running(
    name: str, place: Path, program: list[str], path: str, settings: dict[str, object]
) -> Iterator[DockerEngine]:
    if os.geteuid() != 0:
        raise RuntimeError("a Docker engine needs root: sudo make test")
    place.mkdir(parents=True, exist_ok=True)
    (place / "daemon.json").write_text(json.dumps(settings))
    own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    command = [
        *(*program, "--config-file", f"{place}/daemon.json", "--host", f"unix://{place}/docker.sock"),
        *("--data-root", f"{place}/data", "--exec-root", f"{place}/exec", "--pidfile", f"{place}/pid"),
        *("--iptables=false", "--ip6tables=false"),
    ]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [*own, *command],
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    engine = DockerEngine(name, place, process)
    try:
        _wait(engine)
        yield engine
    finally:
        _stop(engine)


def _wait(engine: DockerEngine) -> None:
    for _ in range(_START_SECONDS * 10):
        if engine.process.poll() is not None:
            break
        if "API listen on" in engine.log():
            return
        time.sleep(0.1)
    raise AssertionError(f"{engine.name} does not start:\n{engine.log()[-4000:]}")


def _stop(engine: DockerEngine) -> None:
    """Ask the engine to end, then end its process namespace, which kills whatever is left in it."""
    daemon = engine.process.pid
    children = Path(f"/proc/{daemon}/task/{daemon}/children")
    try:
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGTERM)
        engine.process.wait(_STOP_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        engine.process.kill()
        engine.process.wait()
