"""getty in a container of the built image, on pseudo-terminals that stand in for consoles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.container import Container, Service, running
from tests.support.store_images import StoredImage
from tests.support.terminal import Terminal

# "correct horse" as crypt(5) keeps it.
_HASH = "$6$pkgtool$VkOxw4z64eClH6YfzXoukwuMYKu9bB.796vCvhHGAROn4AXll5MiLJ9bX1EZowQRjeHJuU0vm1OYbcTLj5OxZ1"
SHADOW = f"root:{_HASH}:17322:0:::::"


class Getty:
    """Starts getty with a kernel command line, consoles, and a getty.shadow of the host."""

    def __init__(self, image: StoredImage, rootfs: Path, place: Path) -> None:
        self._image, self._rootfs, self._place = image, rootfs, place

    @contextmanager
    def __call__(
        self,
        cmdline: str,
        consoles: dict[str, Terminal],
        *,
        shadow: str = "",
        env: tuple[str, ...] = (),
        command: tuple[str, ...] = (),
        files: dict[str, str] | None = None,
    ) -> Iterator[Container]:
        etc = self._place / "run" / "host" / "etc"
        etc.mkdir(parents=True)
        (self._place / "cmdline").write_text(f"{cmdline}\n")
        if shadow:
            (etc / "getty.shadow").write_text(shadow)
        mounts = {str(self._place / "cmdline"): "/proc/cmdline"}
        mounts |= {terminal.device: f"/dev/{name}" for name, terminal in consoles.items()}
        for number, (path, content) in enumerate((files or {}).items()):
            (self._place / f"file-{number}").write_text(content)
            mounts[str(self._place / f"file-{number}")] = path
        service = Service(env=env, command=command, mounts=mounts)
        with running(self._image, self._rootfs, self._place / "run", service) as container:
            yield container


def log_in(terminal: Terminal, password: str = "correct horse") -> None:
    """As root, whose password is that unless a test gives another."""
    terminal.expect("login: ")
    terminal.type("root")
    terminal.expect("Password: ")
    terminal.type(password)
