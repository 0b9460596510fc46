"""Why no Docker engine answers, and what a person does about it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pkgtool import programs
from pkgtool.engines import docker_absent
from pkgtool.engines.docker_absent import Absence

SOMEBODY = 54321


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing of Docker's; answers where its socket would be."""
    monkeypatch.setattr(docker_absent, "_SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(docker_absent, "_SYSV_SCRIPT", tmp_path / "script")
    monkeypatch.setattr(docker_absent, "_SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(docker_absent.docker_client, "from_environment", lambda: {"base_url": address(tmp_path)})
    monkeypatch.setattr(programs, "find", lambda _: None)
    return tmp_path


def address(machine: Path) -> str:
    return os.environ.get("DOCKER_HOST") or f"unix://{machine}/docker.sock"


def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name: f"/usr/sbin/{name}")


def test_an_engine_that_is_not_there_is_installed() -> None:
    assert docker_absent.explain() == Absence("no engine is installed", "sudo apt-get install docker.io")


@pytest.mark.parametrize(
    ("there", "command"),
    [("systemd", "sudo systemctl start docker"), ("script", "sudo service docker start"), ("", "sudo dockerd")],
)
def test_an_engine_that_does_not_run_is_started(
    machine: Path, monkeypatch: pytest.MonkeyPatch, there: str, command: str
) -> None:
    installed(monkeypatch)
    (machine / there).mkdir(exist_ok=True)
    assert docker_absent.explain() == Absence("the engine is installed, but not running", command)


def test_a_socket_that_is_not_ours_needs_the_group(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    monkeypatch.setattr(docker_absent, "_may_not_be_used", lambda _: True)
    monkeypatch.setenv("LOGNAME", "somebody")
    found = docker_absent.explain()
    assert found.reason == f"somebody may not use the engine's socket {machine}/docker.sock"
    assert found.remedy == "sudo usermod --append --groups docker somebody, then log in anew"


def test_a_socket_says_itself_whether_it_may_be_used() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        # In a directory that others may enter, with a name of its own.
        path = Path("/tmp") / f"pkgtool-test-{os.getpid()}.sock"
        listener.bind(str(path))
        try:
            listener.listen()
            assert not docker_absent._may_not_be_used(str(path))
            path.chmod(0)
            with as_somebody():
                assert docker_absent._may_not_be_used(str(path))
        finally:
            path.unlink()
    assert not docker_absent._may_not_be_used("/nowhere/docker.sock")


@contextmanager
def as_somebody() -> Iterator[None]:
    """As an ordinary user for a moment, if we are root: a socket's mode means nothing to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_address_of_ones_own_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    found = docker_absent.explain()
    assert found == Absence("no engine answers at unix:///nowhere.sock, which DOCKER_HOST names", "unset DOCKER_HOST")
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(docker_absent.docker_client, "from_environment", lambda: {"base_url": "ssh://far"})
    assert docker_absent.explain().remedy == "docker context use default"
