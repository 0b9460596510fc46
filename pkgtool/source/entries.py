"""Lines of `git ls-tree -z`."""

from __future__ import annotations

from dataclasses import dataclass

DIRECTORY = "040000"
SYMLINK = "120000"
EXECUTABLE = "100755"
SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, directory, symbolic link or submodule: git's mode and the object's id."""

    mode: str
    id: str


def parse_listing(output: bytes) -> dict[str, Entry]:
    """Entries by path. Bytes of a name that are not UTF-8 survive as surrogates."""
    entries = {}
    for line in output.decode("utf-8", "surrogateescape").split("\0"):
        description, tab, path = line.partition("\t")
        if tab:
            mode, _, identity = description.split(" ")
            entries[path] = Entry(mode, identity)
    return entries
