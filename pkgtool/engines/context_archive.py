"""A build context as one tar file: how both Docker and BuildKit take it over the network."""

from __future__ import annotations

import tarfile
from pathlib import Path


def pack(directory: Path, target: Path) -> None:
    """Write a directory into an uncompressed tar file, with numeric owners of 0 and whole seconds."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        # BuildKit recognises a tar by its first kilobyte, which must therefore hold no extended header.
        archive.add(directory, arcname=".", recursive=False, filter=_anonymous)
        for path in sorted(directory.iterdir()):
            archive.add(path, arcname=path.name, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = int(member.mtime)
    return member
