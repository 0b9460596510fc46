"""A terminal to stand in for a console: a program writes to its device, the test reads and types at the other end."""

from __future__ import annotations

import os
import re
import select
import time
from types import TracebackType
from typing import Self

# What a shell's line editor sends around each line, to tell pasted text from typed.
_PASTE_MODE = re.compile(r"\x1b\[\?2004[hl]\r?")


class Terminal:
    """A pseudo-terminal; `device` is the path of its end for programs."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        self.device = os.ttyname(self._theirs)
        self.seen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._ours)
        os.close(self._theirs)

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        self.press(f"{line}\r")

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def expect(self, pattern: str, *, seconds: float = 60) -> str:
        """Read until the pattern appears; what was read up to its end. What follows is kept for the next call."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen)
            if found:
                before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
                return before
            if not self._wait(deadline - time.monotonic()):
                raise AssertionError(f"no {pattern!r} within {seconds} s, but {self.seen!r}")
            self._read()

    def silent(self, seconds: float) -> str:
        """Whatever comes within a while: nothing, if nothing is written to the terminal."""
        deadline = time.monotonic() + seconds
        while self._wait(deadline - time.monotonic()):
            self._read()
        found, self.seen = self.seen, ""
        return found

    def _read(self) -> None:
        self.seen = _PASTE_MODE.sub("", self.seen + os.read(self._ours, 4096).decode("utf-8", "replace"))

    def _wait(self, seconds: float) -> bool:
        return bool(select.select([self._ours], [], [], max(0.0, seconds))[0])
