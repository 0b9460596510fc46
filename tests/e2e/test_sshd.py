"""sshd in a container of the built image: a real client logs in with a key, and nobody else does."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Built
from tests.support.container import Container, Service, running
from tests.support.ssh_client import SshClient, new_key

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("offline")]

_FROM_HOME, _FROM_METADATA = "root/.ssh", "run/config/ssh"
_MOUNTED_HOME = "/root/.ssh:/root/.ssh"


class Sshd:
    """Starts sshd, and clients for it."""

    def __init__(self, built: Built, rootfs: Callable[..., Path], place: Path) -> None:
        self._built, self._rootfs, self._place = built, rootfs, place
        self.key = new_key(place / "keys" / "mine")

    @contextmanager
    def __call__(
        self, arch: str = "amd64", *, keys: str = _FROM_HOME, mounts: dict[str, str] | None = None, run: str = "run"
    ) -> Iterator[Container]:
        image, rootfs = self._built.image("sshd", arch), self._rootfs("sshd", arch, run)
        place = self._place / run
        if keys:
            directory = place / "host" / keys
            directory.mkdir(parents=True, mode=0o700)
            (directory / "authorized_keys").write_bytes(self.key.with_suffix(".pub").read_bytes())
        service = Service(binds=(_MOUNTED_HOME,) if keys == _FROM_HOME else (), mounts=mounts or {})
        with running(image, rootfs, place, service) as container:
            container.wait_for("Server listening on")
            yield container

    def client(self, container: Container, key: Path | None = None) -> SshClient:
        return SshClient(key or self.key, sorted((container.rootfs / "etc/ssh").glob("ssh_host_*_key.pub")))


@pytest.fixture
def sshd(built: Built, rootfs: Callable[..., Path], tmp_path: Path) -> Sshd:
    return Sshd(built, rootfs, tmp_path)


@pytest.mark.parametrize(
    "arch",
    [
        pytest.param("amd64", marks=pytest.mark.xdist_group("packages")),
        pytest.param("arm64", marks=pytest.mark.xdist_group("emulated")),
    ],
)
@pytest.mark.parametrize("keys", [_FROM_HOME, _FROM_METADATA], ids=["mounted keys", "keys from metadata"])
def test_a_client_logs_in_with_its_key(sshd: Sshd, arch: str, keys: str) -> None:
    with sshd(arch, keys=keys) as container:
        client = sshd.client(container)
        assert len(client.host_keys) == 3
        done = client.run("id -u; dpkg --print-architecture; uname -m; cat", text="over the wire\n")
        assert done.returncode == 0, done.stderr
        machine = {"amd64": "x86_64", "arm64": "aarch64"}[arch]
        assert done.stdout == f"0\n{arch}\n{machine}\nover the wire\n"


@pytest.mark.xdist_group("packages")
def test_nobody_else_logs_in(sshd: Sshd, tmp_path: Path) -> None:
    with sshd() as container:
        stranger = sshd.client(container, new_key(tmp_path / "keys" / "stranger")).run("true")
        assert stranger.returncode == 255
        assert "Permission denied (publickey)" in stranger.stderr, "something else than a key is offered"


@pytest.mark.xdist_group("packages")
def test_without_keys_it_says_that_nobody_can_log_in(sshd: Sshd) -> None:
    with sshd(keys="") as container:
        assert "sshd: nobody can log in: neither /root/.ssh nor /run/config/ssh has authorized_keys" in container.log


@pytest.mark.xdist_group("packages")
def test_every_first_start_makes_host_keys_of_its_own(sshd: Sshd, built: Built) -> None:
    assert not [name for name in built.image("sshd").names() if "ssh_host_" in name]
    seen = []
    for run in ("one", "two"):
        with sshd(run=run) as container:
            seen += _host_keys(container.rootfs / "etc/ssh")
    assert len(set(seen)) == 6


@pytest.mark.xdist_group("packages")
def test_a_disk_keeps_the_host_keys(sshd: Sshd, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    seen = []
    for run in ("one", "two"):
        with sshd(run=run, mounts={str(disk): "/etc/ssh"}):
            seen.append(_host_keys(disk))
            # Nothing else is on that disk, and logging in works all the same.
            assert SshClient(sshd.key, sorted(disk.glob("*.pub"))).run("true").returncode == 0
    assert seen[0] == seen[1]


def _host_keys(place: Path) -> list[bytes]:
    made = sorted(place.glob("ssh_host_*_key"))
    assert [path.name.split("_")[2] for path in made] == ["ecdsa", "ed25519", "rsa"]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    return [path.read_bytes() for path in made]


@pytest.mark.xdist_group("packages")
def test_it_shows_the_host(sshd: Sshd, tmp_path: Path) -> None:
    """The mounts that LinuxKit's sshd has: its configuration, processes, containerd's and runc's programs."""
    with sshd() as container:
        (container.host / "etc/of-the-host").write_text("a file of the host\n")
        (container.host / "usr/bin/ctr").write_text("#!/bin/sh\necho the host has ctr\n")
        (container.host / "usr/bin/ctr").chmod(0o755)
        client = sshd.client(container)
        done = client.run(
            "cat /hostroot/etc/of-the-host; ctr; test -c /dev/urandom && ls -d /sys/kernel; ps -o comm= 1"
        )
        assert done.stdout == "a file of the host\nthe host has ctr\n/sys/kernel\nrunc\n", done.stderr

        client.fetch("/hostroot/etc/of-the-host", tmp_path / "copy")
        assert (tmp_path / "copy").read_text() == "a file of the host\n"


@pytest.mark.xdist_group("packages")
def test_a_session_on_a_terminal(sshd: Sshd) -> None:
    with sshd() as container:
        done = sshd.client(container).run(options=["-tt"], text="tty; stty size; exit 3\n")
        assert done.returncode == 3, done.stderr
        assert "You are in the sshd container." in done.stdout
        assert "(ns: sshd) root@" in done.stdout
        assert "/dev/pts/" in done.stdout


@pytest.mark.xdist_group("packages")
def test_a_signal_ends_it(sshd: Sshd) -> None:
    with sshd() as container:
        container.signal(signal.SIGTERM)
        assert container.process.wait(20) in (0, 255)
        refused = subprocess.run(["ssh", "-F", "none", "-oBatchMode=yes", "root@127.0.0.1"], capture_output=True)
        assert b"Connection refused" in refused.stderr
