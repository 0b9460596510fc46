"""A flat apt repository of locked .debs, with an index made from their own control files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from email.utils import format_datetime
from pathlib import Path

from pkgtool.errors import InputError
from pkgtool.inputs.debian.control import control_of, format_stanza
from pkgtool.inputs.lock import Deb, DebianLock


def deb_names(lock: DebianLock, architectures: Sequence[str]) -> Iterator[tuple[Deb, str]]:
    """The .debs for these architectures with their file names, each once. Raises `InputError` if two share one."""
    seen: dict[str, Deb] = {}
    for deb in lock.debs:
        if not set(deb.architectures) & set(architectures):
            continue
        if deb.file_name in seen:
            raise InputError(f"{deb} and {seen[deb.file_name]} have one file name, {deb.file_name}")
        seen[deb.file_name] = deb
        yield deb, deb.file_name


def write_repository(directory: Path, lock: DebianLock, architectures: Sequence[str]) -> None:
    """Write `Packages` and `Release` beside the .debs in `directory`.

    Release names the suite, because mmdebstrap and apt's patterns go by it. It is not signed: the bytes have been
    checked against the lock, so `[trusted=yes]` is the honest way to use the repository.
    """
    directory.mkdir(exist_ok=True)
    index = "\n".join(_stanza(directory, deb, name) for deb, name in sorted(deb_names(lock, architectures)))
    (directory / "Packages").write_text(index, encoding="utf-8")
    suite = lock.request.suites[0][1] if lock.request.suites else "stable"
    content = index.encode()
    release = (
        "Origin: Debian\n"
        "Label: inputs\n"
        f"Suite: {suite}\n"
        f"Codename: {suite}\n"
        f"Date: {format_datetime(max(archive.date for archive in lock.archives), usegmt=True)}\n"
        f"Architectures: all {' '.join(sorted(architectures))}\n"
        "SHA256:\n"
        f" {hashlib.sha256(content).hexdigest()} {len(content)} Packages\n"
    )
    (directory / "Release").write_text(release, encoding="utf-8")


def _stanza(directory: Path, deb: Deb, name: str) -> str:
    fields = {
        **control_of(directory / name),
        "Filename": f"./{name}",
        "Size": str(deb.content.size),
        "SHA256": deb.content.digest.hex,
    }
    return format_stanza(fields)
