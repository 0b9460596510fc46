"""What the machine's processes are, while they come and go."""

from __future__ import annotations

from pathlib import Path


def command_lines() -> list[bytes]:
    """The argument list of every process, arguments ended by NUL as the kernel gives them (proc(5))."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes())
        except OSError:  # it has ended since
            continue
    return found
