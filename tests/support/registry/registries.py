"""Real registries for tests, started on free ports of loopback and stopped afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.registry import go_program

_SOURCE = Path(__file__).parent / "referrers_registry"


def require(program: str, package: str) -> str:
    """The path of a program; a missing one is an error that says what brings it."""
    path = shutil.which(program)
    assert path, f"{program} is needed by this test: apt-get install {package}"
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def docker_registry(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    tls: tuple[Path, Path, Path | None] | None = None,
    htpasswd: Path | None = None,
    upstream: str = "",
) -> Iterator[str]:
    """Debian's docker-registry (no referrers API); `tls` is certificate, key, and the CA that clients' must be of."""
    port = free_port()
    configuration: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"{host}:{port}", "secret": "only-for-this-test"},
    }
    if tls:
        certificate, key, authority = tls
        configuration["http"]["tls"] = {  # type: ignore[index]
            "certificate": str(certificate),
            "key": str(key),
            **({"clientcas": [str(authority)]} if authority else {}),
        }
    if upstream:  # then it is a pull-through cache
        configuration["proxy"] = {"remoteurl": f"http://{upstream}"}
    if htpasswd:
        configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(htpasswd)}}
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yml").write_text(yaml.safe_dump(configuration))
    command = [require("docker-registry", "docker-registry"), "serve", str(directory / "config.yml")]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_for(host, port, process, directory / "log")
        yield f"{host}:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def referrers_registry() -> Iterator[str]:
    """go-containerregistry's registry, in memory, with the referrers API."""
    program = go_program.build(_SOURCE)
    process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.stdin.close()
        process.wait(5)
        process.stdout.close()


def _wait_for(host: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(400):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"no registry on port {port}: {log.read_text()}")


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test, and what it signed. Paths of PEM files."""

    ca: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]


def authority(directory: Path, *addresses: str) -> Authority:
    """A CA with a server certificate for 127.0.0.1 (and other addresses) and a client certificate."""
    directory.mkdir(parents=True, exist_ok=True)
    ca, ca_key = directory / "ca.crt", directory / "ca.key"
    _openssl(
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca "
        f"-keyout {ca_key} -out {ca}"
    )
    pairs = []
    for name, extension in (
        ("server", "subjectAltName=" + ",".join(f"IP:{ip}" for ip in ("127.0.0.1", *addresses)) + ",DNS:localhost"),
        ("client", "extendedKeyUsage=clientAuth"),
    ):
        request, certificate, key = (directory / f"{name}.{ending}" for ending in ("csr", "crt", "key"))
        _openssl(
            f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {key} -out {request}"
        )
        (directory / "extension").write_text(extension)
        _openssl(
            f"x509 -req -in {request} -CA {ca} -CAkey {ca_key} -CAcreateserial -days 2 "
            f"-extfile {directory / 'extension'} -out {certificate}"
        )
        pairs.append((certificate, key))
    return Authority(ca, pairs[0], pairs[1])


def _openssl(arguments: str) -> None:
    command = [require("openssl", "openssl"), *arguments.split()]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
