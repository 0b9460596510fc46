"""A running guest: its console as text with times, expectations with limits, and an end in any case."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pkgtool import process
from pkgtool.cancel import Cancellation
from pkgtool.errors import Interrupted, KernelError, PkgtoolError
from pkgtool.kernel.boot.machine import KVM, Machine, kvm_is_worth_a_probe

_PROBE_SECONDS = 15.0
_CONNECT_SECONDS = 10.0
_SHOWN_LINES = 25
_PANIC = re.compile(r"Kernel panic[^\n]*\n")


class BootFailed(KernelError):
    """A kernel did not do what it was booted for; the details are the end of its console."""


class Guest:
    """A guest that runs. Made by `boot`."""

    def __init__(self, console: socket.socket, ended: threading.Event, on_text: Callable[[str], None] | None) -> None:
        self._console = console
        self._ended = ended
        self._on_text = on_text
        self._text = ""
        self._seen = 0
        self._changed = threading.Condition()
        self.started = time.monotonic()
        self._reader = threading.Thread(target=self._read, name="console", daemon=True)
        self._reader.start()

    @property
    def transcript(self) -> str:
        """All that the console printed so far."""
        with self._changed:
            return self._text

    @property
    def ended(self) -> bool:
        """Whether the guest has switched itself off."""
        return self._ended.is_set()

    def send(self, text: str) -> None:
        """Type on the console."""
        self._console.sendall(text.encode())

    def expect(self, pattern: str, seconds: float) -> re.Match[str]:
        """Wait until what was printed since the last match contains `pattern`, and return the match.

        Raises `BootFailed` after `seconds`, at a kernel panic, or if the guest ends first.
        """
        deadline = time.monotonic() + seconds
        wanted = re.compile(pattern, re.MULTILINE)
        with self._changed:
            while True:
                found = wanted.search(self._text, self._seen)
                if found:
                    self._seen = found.end()
                    return found
                self._refuse_if_over(pattern, seconds, deadline)
                self._changed.wait(0.2)

    def wait(self, seconds: float) -> str:
        """Wait until the guest has switched itself off; its transcript. Raises `BootFailed` after `seconds`."""
        if not self._ended.wait(seconds):
            raise self._failure(f"the guest was still running after {seconds:g} s")
        self._reader.join(seconds)
        return self.transcript

    def _refuse_if_over(self, pattern: str, seconds: float, deadline: float) -> None:
        if _PANIC.search(self._text):
            raise self._failure(f"the kernel panicked before its console said {pattern!r}")
        if self._ended.is_set() and not self._reader.is_alive():
            raise self._failure(f"the guest ended before its console said {pattern!r}")
        if time.monotonic() > deadline:
            raise self._failure(f"the console did not say {pattern!r} within {seconds:g} s")

    def _failure(self, message: str) -> BootFailed:
        return BootFailed(message, details=self._text.splitlines()[-_SHOWN_LINES:])

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while chunk := self._console.recv(65536):
                text = chunk.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "")
                with self._changed:
                    self._text += text
                    self._changed.notify_all()
                if self._on_text:
                    self._on_text(text)


@contextlib.contextmanager
def boot(machine: Machine, *, seconds: float, on_text: Callable[[str], None] | None = None) -> Iterator[Guest]:
    """Run a machine for the length of the block, and never longer than `seconds`.

    Raises `ToolMissing` without QEMU, `BootFailed` if QEMU does not start.
    """
    directory = Path(tempfile.mkdtemp(prefix="pkgtool-boot-"))
    ended, stop, failures = threading.Event(), Cancellation(), list[PkgtoolError]()

    def run() -> None:
        try:
            process.run(
                machine.arguments(directory / "console"),
                why="boot a kernel",
                timeout=seconds,
                cancel=stop,
                die_with_parent=True,
            )
        except Interrupted:
            pass
        except PkgtoolError as problem:
            failures.append(problem)
        finally:
            ended.set()

    runner = threading.Thread(target=run, name="qemu", daemon=True)
    runner.start()
    try:
        with _connect(directory / "console", ended, failures) as console:
            yield Guest(console, ended, on_text)
    finally:
        stop.request()
        runner.join()
        shutil.rmtree(directory, ignore_errors=True)


def _connect(path: Path, ended: threading.Event, failures: list[PkgtoolError]) -> socket.socket:
    deadline = time.monotonic() + _CONNECT_SECONDS
    console = socket.socket(socket.AF_UNIX)
    while time.monotonic() < deadline and not ended.is_set():
        try:
            console.connect(str(path))
            return console
        except OSError:
            time.sleep(0.02)
    console.close()
    if failures:
        raise BootFailed("QEMU did not start", details=failures[0].details) from failures[0]
    raise BootFailed(f"QEMU offered no console within {_CONNECT_SECONDS:g} s")


def kvm_works(kernel: Path) -> bool:
    """Whether a guest really runs with KVM here: a probe boot of the kernel itself, which needs no root to speak."""
    if not kvm_is_worth_a_probe():
        return False
    try:
        with boot(Machine(kernel, accelerator=KVM), seconds=_PROBE_SECONDS) as guest:
            guest.expect("Linux version", _PROBE_SECONDS)
    except KernelError:
        return False
    return True
