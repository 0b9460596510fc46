"""vpnkit-forwarder and vsudd in containers of the built images, talked to as a host does."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Built
from tests.support.container import Container, Service, running
from tests.support.vpnkit_host import Forwarding, datagram, tcp, udp, unix

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("offline")]

both_platforms = pytest.mark.parametrize(
    "arch",
    [
        pytest.param("amd64", marks=pytest.mark.xdist_group("packages")),
        pytest.param("arm64", marks=pytest.mark.xdist_group("emulated")),
    ],
)
_LOCAL = 1  # VMADDR_CID_LOCAL of linux/vm_sockets.h: the machine itself
_TEXT = b"through the forwarder, " * 2000  # no more than what may be sent before the other side asks for more


class Start:
    """Runs a package of one program with arguments."""

    def __init__(self, built: Built, rootfs: Callable[..., Path], place: Path) -> None:
        self._built, self._rootfs, self._place = built, rootfs, place

    @contextmanager
    def __call__(self, package: str, arch: str, *arguments: str, binds: tuple[str, ...] = ()) -> Iterator[Container]:
        image = self._built.image(package, arch)
        service = Service(command=(f"/{package}", *arguments), binds=binds)
        with running(image, self._rootfs(package, arch), self._place / "c", service) as container:
            yield container


@pytest.fixture
def start(built: Built, rootfs: Callable[..., Path], tmp_path: Path) -> Start:
    return Start(built, rootfs, tmp_path)


@contextmanager
def _service(server: socket.socket) -> Iterator[socket.socket]:
    """Answers what it gets, in capitals: a stream's at its end, a datagram's at once."""

    def stream() -> None:
        connection, _ = server.accept()
        with connection:
            got = b""
            while more := connection.recv(65536):
                got += more
            connection.sendall(got.upper())

    def datagrams() -> None:
        got, sender = server.recvfrom(65536)
        server.sendto(got.upper(), sender)

    with server:
        if server.type == socket.SOCK_STREAM:
            server.listen()
        thread = threading.Thread(target=stream if server.type == socket.SOCK_STREAM else datagrams, daemon=True)
        thread.start()
        yield server
        thread.join(20)


def _bound(family: socket.AddressFamily, kind: socket.SocketKind, address: object) -> socket.socket:
    server = socket.socket(family, kind)
    server.bind(address)
    return server


def _forwarding(path: Path) -> Forwarding:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(str(path))
    return Forwarding(connection)


def _answer(forwarding: Forwarding, destination: bytes, content: bytes) -> bytes:
    number = forwarding.open(destination)
    forwarding.write(number, content)
    forwarding.end_writing(number)
    return forwarding.read_to_end(number)


@both_platforms
def test_the_forwarder_opens_what_the_host_asks_for(start: Start, arch: str) -> None:
    """TCP, a Unix socket inside the container, and UDP, over one connection."""
    with (
        start("vpnkit-forwarder", arch, "-data-listen", "/run/data.sock") as container,
        _forwarding(container.wait_for_file("/run/data.sock")) as forwarding,
    ):
        with _service(_bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))) as server:
            assert _answer(forwarding, tcp(*server.getsockname()), _TEXT) == _TEXT.upper()

        inside = container.host / "run/service.sock"
        with _service(_bound(socket.AF_UNIX, socket.SOCK_STREAM, str(inside))):
            assert _answer(forwarding, unix("/run/service.sock"), b"to a socket") == b"TO A SOCKET"

        with _service(_bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))) as server:
            number = forwarding.open(udp(*server.getsockname()))
            forwarding.write(number, datagram(b"a datagram"))
            expected = datagram(b"A DATAGRAM")
            assert forwarding.read(number, len(expected)) == expected


@pytest.mark.xdist_group("packages")
def test_a_service_that_is_not_there_ends_its_connection_alone(start: Start) -> None:
    with (
        start("vpnkit-forwarder", "amd64", "-data-listen", "/run/data.sock") as container,
        _forwarding(container.wait_for_file("/run/data.sock")) as forwarding,
        _service(_bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))) as server,
    ):
        assert forwarding.read_to_end(forwarding.open(tcp("127.0.0.1", 9))) == b""
        assert _answer(forwarding, tcp(*server.getsockname()), b"still here") == b"STILL HERE"


@pytest.mark.xdist_group("packages")
def test_the_forwarder_connects_to_the_host_itself(start: Start, tmp_path: Path) -> None:
    (tmp_path / "c/host/run").mkdir(parents=True)
    with (
        _bound(socket.AF_UNIX, socket.SOCK_STREAM, str(tmp_path / "c/host/run/host.sock")) as listener,
        _service(_bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))) as server,
    ):
        listener.listen()
        listener.settimeout(60)
        with (
            start("vpnkit-forwarder", "amd64", "-data-connect", "/run/host.sock") as container,
            Forwarding(listener.accept()[0]) as forwarding,
        ):
            assert _answer(forwarding, tcp(*server.getsockname()), b"called back") == b"CALLED BACK"
            container.signal(signal.SIGINT)
            assert container.process.wait(20) == 0


@both_platforms
def test_vsudd_listens_on_its_vsock_port(start: Start, arch: str) -> None:
    """And forwards, where the kernel can connect to itself; kernels that can't show it in a guest only."""
    port = {"amd64": 23761, "arm64": 23762}[arch]
    with start("vsudd", arch, "-inport", f"{port}:unix:/run/service.sock") as container:
        container.wait_for(f"Listening on port {port}")
        with (
            socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as other,
            pytest.raises(OSError, match="in use") as taken,
        ):
            other.bind((socket.VMADDR_CID_ANY, port))
        assert taken.value.errno == errno.EADDRINUSE

        if _reaches_itself():
            service = _bound(socket.AF_UNIX, socket.SOCK_STREAM, str(container.host / "run/service.sock"))
            with _service(service), socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
                client.connect((_LOCAL, port))
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                assert client.recv(100) == b"HELLO"


@both_platforms
def test_vsudd_says_what_it_does_not_understand(start: Start, arch: str) -> None:
    with start("vsudd", arch, "-inport", "2376") as container:
        assert container.process.wait(60) == 2
        assert "Failed to parse: 2376" in container.log


def _reaches_itself() -> bool:
    """Whether the kernel has vsock_loopback."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as server:
        server.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        server.listen()
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            try:
                client.connect((_LOCAL, server.getsockname()[1]))
            except OSError:
                return False
    return True
