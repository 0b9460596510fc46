"""Debian's docker-registry on a free port of the loopback interface, for as long as a test needs it."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 20.0
_CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def docker_registry(directory: Path) -> Iterator[str]:
    """Start the registry with its storage in `directory`; gives `127.0.0.1:PORT`."""
    program = shutil.which("docker-registry", path="/usr/bin:/usr/local/bin:/usr/sbin")
    if program is None:
        raise RuntimeError("docker-registry is not installed: sudo apt-get install docker-registry")
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "registry.yml"
    configuration.write_text(_CONFIGURATION.format(storage=directory / "storage", port=port))
    with (directory / "registry.log").open("wb") as log:
        server = subprocess.Popen([program, "serve", str(configuration)], stdout=log, stderr=log)
        try:
            _wait(server, port, directory / "registry.log")
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=10)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/v2/")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError(f"docker-registry did not start:\n{log.read_text(errors='replace')}")
