"""What a .deb says of itself: its control paragraph and the MD5 of each of its files (deb(5))."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from pkgtool.errors import InputError
from pkgtool.sbom.debian import from_paragraph, paragraphs
from pkgtool.sbom.known import KnownPackage

_MAGIC = b"!<arch>\n"
_HEADER = 60
_MAX_CONTROL = 16 * 1024 * 1024
"""Bytes, compressed and unpacked: the largest lists of Debian have some megabytes."""


def read_deb(path: Path, *, sha256: str = "", url: str = "") -> KnownPackage:
    """Raises `InputError` if it is not a .deb."""
    try:
        with tarfile.open(fileobj=io.BytesIO(_control_member(path)), mode="r:*") as archive:
            control, sums = _member(archive, "control"), _member(archive, "md5sums")
        paragraph = next(paragraphs(control.decode()))
        return KnownPackage(from_paragraph(paragraph), _sums(sums.decode("utf-8", "surrogateescape")), sha256, url)
    except (OSError, ValueError, KeyError, StopIteration, tarfile.TarError, EOFError) as problem:
        raise InputError(f"{path} is not a Debian package: {problem}") from problem


def _control_member(path: Path) -> bytes:
    """The archive's member control.tar, still compressed (ar(5), common format)."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("it is no ar archive")
        while header := file.read(_HEADER):
            size = int(header[48:58])
            if header.startswith(b"control.tar"):
                if size > _MAX_CONTROL:
                    raise ValueError(f"its control data has {size} bytes")
                return file.read(size)
            file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it has no control.tar")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    for member in archive.getmembers():
        if member.isreg() and member.name.removeprefix("./") == name:
            if member.size > _MAX_CONTROL:
                raise ValueError(f"{name} has {member.size} bytes")
            stream = archive.extractfile(member)
            assert stream is not None
            return stream.read()
    return b""


def _sums(text: str) -> dict[str, str]:
    return {path: md5 for md5, _, path in (line.partition("  ") for line in text.splitlines()) if path}
