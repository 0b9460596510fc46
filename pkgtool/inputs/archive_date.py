"""The date that an archive bears: the newest time among its members."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from datetime import UTC, datetime
from lzma import LZMAError
from pathlib import Path


def newest_member(path: Path) -> datetime | None:
    """The newest modification time in a tar or zip file, or None for any other file or an empty archive.

    It depends on the bytes alone, so whoever locks the same file gets the same date. Times before 1980 mean that
    whoever packed the archive had removed them.
    """
    try:
        newest = _of_zip(path) if zipfile.is_zipfile(path) else _of_tar(path)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, LZMAError, zlib.error, OSError, ValueError):
        return None
    return newest if newest and newest.year >= 1980 else None


def _of_tar(path: Path) -> datetime | None:
    # Not "r|*": as a stream, a gzip file would end with the first of its members.
    with tarfile.open(path, "r:*") as archive:
        newest = max((member.mtime for member in archive), default=0)
    return datetime.fromtimestamp(int(newest), UTC)


def _of_zip(path: Path) -> datetime | None:
    with zipfile.ZipFile(path) as archive:
        times = [datetime(*entry.date_time, tzinfo=UTC) for entry in archive.infolist()]
    # A zip file has no time zone and starts in 1980, which stands for "no time".
    return max((time for time in times if time.year > 1980), default=None)
