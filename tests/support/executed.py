"""Which programs a command and all its children executed, as strace(1) saw it, and which of them are foreign.

The kernel hands a foreign program to its emulator inside execve(2), so the call that names the foreign program is
there whether the emulator is registered, and for which namespaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# execve("/bin/x", [… and execveat(5</memfd:x>, "", …; -y writes the path behind a descriptor's number.
_CALL = re.compile(r'^execve(?:at\((?P<place>[^,]*), |\()"(?P<path>[^"]*)"', re.MULTILINE)
_OPENED = re.compile(r"^\w+<(?P<path>/.*)>$")
# By its own link, or, as buildah does it, by a copy in memory that it made of that.
_THE_CALLER_ITSELF = re.compile(r"^(/proc/(self|\d+)/exe|\d+</memfd:buildah-[a-z-]+>\(deleted\))$")
_MACHINE = slice(18, 20)  # e_machine of elf(5)


def traced(command: Sequence[str], place: Path) -> list[str]:
    """The command that runs `command` and leaves its trace in the directory: one file a process, so none is torn."""
    place.mkdir()
    calls = ("--follow-forks", "--output-separately", "--seccomp-bpf", "--trace=execve,execveat", "--successful-only")
    return ["strace", *calls, "-y", "--quiet=all", "--signal=none", f"--output={place}/of", *command]


def executed(place: Path) -> set[str]:
    """The paths that were executed, as they were named inside whatever root and directory the caller had."""
    found = set()
    for trace in place.iterdir():
        for call in _CALL.finditer(trace.read_text("utf-8", "replace")):
            opened = _OPENED.match(call["place"] or "")
            found.add(call["path"] or (opened["path"] if opened else call["place"]))
    return {path for path in found if not _THE_CALLER_ITSELF.match(path)}


def foreign(paths: Iterable[str], roots: Sequence[Path]) -> list[str]:
    """Those that are no script and no program of this machine in any of the roots, or are in none of them."""
    return sorted(path for path in paths if not _is_native(list(_candidates(path, roots))))


def _candidates(path: str, roots: Sequence[Path]) -> Iterator[bytes]:
    for root in roots:
        place = _inside(root, path)
        if place.is_file():
            with place.open("rb") as file:
                yield file.read(64)


def _inside(root: Path, path: str) -> Path:
    """Where a path leads inside a root: its links are absolute inside it too."""
    place = root
    for part in path.split("/"):
        place = place / part if part else place
        for _ in range(40):
            if not place.is_symlink():
                break
            target = place.readlink()
            place = root / str(target).lstrip("/") if target.is_absolute() else place.parent / target
    return place


def _is_native(starts: Sequence[bytes]) -> bool:
    with Path("/proc/self/exe").open("rb") as own:
        machine = own.read(20)[_MACHINE]
    return bool(starts) and all(
        start.startswith(b"#!") or (start.startswith(b"\x7fELF") and start[_MACHINE] == machine) for start in starts
    )
