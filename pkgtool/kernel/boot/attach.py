"""A person at a guest's console: what is typed goes in, and Ctrl-] leaves, as with telnet."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator

from pkgtool.kernel.boot.guest import Guest

LEAVE = b"\x1d"
_POLL_SECONDS = 0.2


def attach(guest: Guest, keyboard: int) -> None:
    """Pass on what is typed on the file descriptor `keyboard` until the guest ends, Ctrl-] or end of file.

    A terminal is put into raw mode meanwhile, so that Ctrl-C reaches the guest.
    """
    with _raw(keyboard):
        while not guest.ended:
            readable, _, _ = select.select([keyboard], [], [], _POLL_SECONDS)
            if not readable:
                continue
            typed = os.read(keyboard, 1024)
            before, leave, _ = typed.partition(LEAVE)
            if before:
                guest.send(before.decode("utf-8", "replace"))
            if leave or not typed:
                return


@contextlib.contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    if not os.isatty(descriptor):
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
