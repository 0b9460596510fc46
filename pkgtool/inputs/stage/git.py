"""The files of a commit, out of its canonical tar."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from pkgtool.errors import InputError


def unpack(archive: Path, target: Path) -> None:
    """Unpack the verified tar into `target` and remove it. Raises `InputError` for an entry that would leave it."""
    target.mkdir()
    with tarfile.open(archive, "r:") as members:
        for member in members:
            place = target / member.name
            if member.name.startswith("/") or ".." in Path(member.name).parts:
                raise InputError(f"{member.name} would lie outside of its directory")
            place.parent.mkdir(parents=True, exist_ok=True)
            # pkgtool wrote the tar itself, from a tree in which no link has anything below it.
            if place.parent.resolve() != target.resolve() / place.parent.relative_to(target):
                raise InputError(f"{member.name} would be written through a link")
            if member.issym():
                place.symlink_to(member.linkname)
                continue
            content = members.extractfile(member)
            if content is None:
                raise InputError(f"{member.name} is neither a file nor a link")
            with place.open("wb") as file:
                shutil.copyfileobj(content, file)
            place.chmod(0o755 if member.mode & 0o100 else 0o644)
    archive.unlink()
