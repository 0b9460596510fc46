"""The tar reader against Python's own, on archives in every format, and on archives that are none."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import BuildError
from pkgtool.oci.canonical.tar_headers import Member, TarError, TarReader
from pkgtool.oci.canonical.tar_reader import read_entries, read_known

_LETTERS = st.text(st.characters(blacklist_characters="\0/", blacklist_categories=["Cs"]), min_size=1, max_size=120)
_PATHS = st.lists(_LETTERS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4).map("/".join)
_TYPES = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
_NUMBERS = st.one_of(st.integers(0, 0o7777777), st.integers(0, 2**33))


@st.composite
def _members(draw: Any) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(draw(_PATHS))
    member.type = draw(st.sampled_from(_TYPES))
    member.mode, member.mtime = draw(st.integers(0, 0o7777)), draw(st.integers(0, 2**34))
    member.uid, member.gid = draw(_NUMBERS), draw(_NUMBERS)
    content = draw(st.binary(max_size=1500)) if member.isreg() else b""
    member.size = len(content)
    if member.issym() or member.islnk():
        member.linkname = draw(_PATHS)
    if member.ischr():
        member.devmajor, member.devminor = draw(st.integers(0, 4095)), draw(st.integers(0, 2**20))
    return member, content


def _archive(members: list[tuple[tarfile.TarInfo, bytes]], form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=form) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


class _Stream(io.RawIOBase):
    """Bytes that can't be sought in, as they come out of a decompressor."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


def _both_ways(content: bytes) -> list[list[tuple[Member, bytes]]]:
    found = []
    for stream in (io.BytesIO(content), _Stream(content)):
        reader = TarReader(stream)
        found.append([(member, reader.read(1 << 20)) for member in reader])
    return found


@given(st.lists(_members(), max_size=5), st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_reads_what_tarfile_reads(members: list[tuple[tarfile.TarInfo, bytes]], form: int) -> None:
    content = _archive(members, form)
    for found in _both_ways(content):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            expected = [(m, archive.extractfile(m).read() if m.isreg() else b"") for m in archive.getmembers()]
        assert len(found) == len(expected)
        for (ours, data), (theirs, their_data) in zip(found, expected, strict=True):
            assert ours.name.rstrip("/") == theirs.name
            assert (ours.kind, ours.mode, ours.uid, ours.gid) == (theirs.type, theirs.mode, theirs.uid, theirs.gid)
            assert ours.target.rstrip("/") == theirs.linkname.rstrip("/")
            assert data == their_data
            if theirs.isreg():
                assert content[ours.offset : ours.offset + ours.size] == their_data
            if theirs.ischr():
                assert (ours.major, ours.minor) == (theirs.devmajor, theirs.devminor)


@given(st.binary(max_size=4000))
def test_bytes_that_are_no_tar_are_an_error_or_nothing(content: bytes) -> None:
    with contextlib.suppress(TarError):
        assert list(TarReader(io.BytesIO(content))) == []


@given(st.integers(1, 3000), st.integers(0, 2**32))
def test_a_damaged_archive_is_an_error_or_reads_to_its_end(cut: int, seed: int) -> None:
    member = tarfile.TarInfo("a" * 150)
    member.size = 700
    whole = bytearray(_archive([(member, b"x" * 700), (tarfile.TarInfo("b"), b"")], tarfile.PAX_FORMAT))
    whole[seed % len(whole)] ^= 1 + seed % 255
    with contextlib.suppress(TarError):
        reader = TarReader(io.BytesIO(bytes(whole[:cut])), size=cut)
        for _ in reader:
            reader.read(1 << 20)


def test_an_archive_that_ends_inside_a_file_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("file")
    member.size = 5000
    archive = tmp_path / "cut.tar"
    archive.write_bytes(_archive([(member, b"x" * 5000)], tarfile.GNU_FORMAT)[:3000])
    with pytest.raises(BuildError, match=r"cut\.tar is not a usable tar archive: it ends inside 'file'"):
        read_entries(archive)


def test_an_empty_file_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "empty.tar").touch()
    with pytest.raises(BuildError, match="it is empty"):
        read_entries(tmp_path / "empty.tar")


def test_sparse_files_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    for form in ("gnu", "posix"):
        archive = tmp_path / f"{form}.tar"
        command = ["tar", "--sparse", f"--format={form}", "-C", str(tmp_path), "-cf", str(archive), "holes"]
        subprocess.run(command, check=True)
        with pytest.raises(BuildError, match="sparse"):
            read_entries(archive)


def test_extended_attributes_with_any_bytes(tmp_path: Path) -> None:
    """Capabilities are binary; attributes that belong to the host stay behind."""
    value = b"\x01\0\0\x02\n=\xff"
    member = tarfile.TarInfo("ping")
    records = {"SCHILY.xattr.security.capability": value, "SCHILY.xattr.security.selinux": b"host"}
    member.pax_headers = {name: text.decode("utf-8", "surrogateescape") for name, text in records.items()}
    content = _archive([(member, b"")], tarfile.PAX_FORMAT)
    ((_, entry),) = read_known(_Stream(content))
    assert entry.attributes.xattrs == (("security.capability", value),)


def test_global_headers_count_for_all_that_follows() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT, pax_headers={"gid": "4711"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
        archive.addfile(tarfile.TarInfo("b"))
    assert [member.gid for member in TarReader(io.BytesIO(out.getvalue()))] == [4711, 4711]


@pytest.mark.parametrize("form", ["v7", "ustar", "oldgnu", "gnu", "posix"])
def test_reads_what_gnu_tar_writes(tmp_path: Path, form: str) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "file").write_bytes(b"content" * 300)
    (tmp_path / "d" / "link").symlink_to("e/file")
    archive = tmp_path / "out.tar"
    subprocess.run(["tar", f"--format={form}", "-C", str(tmp_path), "-cf", str(archive), "./d"], check=True)
    entries = dict(read_entries(archive))
    assert set(entries) == {"d", "d/e", "d/e/file", "d/link"}
    assert entries["d/link"].attributes.target == "e/file"
    assert entries["d/e/file"].attributes.size == 2100
