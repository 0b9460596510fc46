"""What a running command needs around it: signals that cancel, and a listener for progress."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from pkgtool.cancel import Cancellation
from pkgtool.errors import ExitCode


@contextmanager
def cancellable() -> Iterator[Cancellation]:
    """A token that Ctrl-C and SIGTERM set; the second signal ends the process at once."""
    token = Cancellation()

    def stop(_number: int, _frame: object) -> None:
        if token.requested:
            os._exit(int(ExitCode.INTERRUPTED))
        token.request()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
