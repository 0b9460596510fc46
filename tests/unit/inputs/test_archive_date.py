"""The date of an archive is that of its newest member, whatever it is packed with."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pkgtool.inputs.archive_date import newest_member

OLD, NEW = datetime(2019, 5, 6, 7, 8, 10, tzinfo=UTC), datetime(2023, 1, 2, 3, 4, 6, tzinfo=UTC)


def tar(*times: datetime, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for number, time in enumerate(times):
            member = tarfile.TarInfo(f"file-{number}")
            member.mtime, member.size = time.timestamp(), 20_000
            archive.addfile(member, io.BytesIO(bytes(20_000)))
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_a_tar_however_packed(mode: str, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(tar(OLD, NEW, OLD, mode=mode))
    assert newest_member(tmp_path / "it") == NEW


def test_all_members_of_gzip_count(tmp_path: Path) -> None:
    """The newest one is behind the first member's end."""
    plain = tar(OLD, OLD, NEW)
    packed = b"".join(gzip.compress(plain[start : start + 8192]) for start in range(0, len(plain), 8192))
    (tmp_path / "it").write_bytes(packed)
    assert newest_member(tmp_path / "it") == NEW


def test_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it", "w") as archive:
        for number, time in enumerate((OLD, NEW)):
            archive.writestr(zipfile.ZipInfo(f"file-{number}", time.timetuple()[:6]), "")
    assert newest_member(tmp_path / "it") == NEW


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        tar(),
        tar(datetime(1975, 1, 1, tzinfo=UTC)),
        tar(OLD, mode="w:gz")[:-20],
    ],
    ids=["no archive", "empty", "without dates", "cut gzip"],
)
def test_what_bears_no_date(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(content)
    assert newest_member(tmp_path / "it") is None
