"""A root file system's tar loses the traces of its making, and nothing else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from pkgtool.engines.rootfs_tar import clean, is_removed

EPOCH = 1_700_000_000


def make(path: Path, *members: tuple[str, bytes | None, dict[str, object]]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, attributes in members:
            info = tarfile.TarInfo(name)
            info.mtime, info.uname = 5, "somebody"
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content) if content else None)


def entries(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as archive:
        return {member.name: member for member in archive}


def test_traces_go_and_the_rest_stays(tmp_path: Path) -> None:
    raw, done = tmp_path / "raw.tar", tmp_path / "done.tar"
    make(
        raw,
        ("./", None, {}),
        ("./etc/", None, {}),
        ("./etc/resolv.conf", b"nameserver 10.0.0.1\n", {}),
        ("./etc/passwd", b"root", {"uid": 7, "gid": 8, "mode": 0o640}),
        ("./usr/", None, {}),
        ("./var/lib/dpkg/status", b"Package: a\n", {}),
        ("./var/lib/dpkg/status-old", b"x", {}),
        ("./var/log/dpkg.log", b"x", {}),
        ("./var/log/apt/history.log", b"x", {}),
        ("./etc/apt/sources.list", b"deb copy:/tmp/x ./\n", {}),
    )
    cleaned = clean(raw, done, {"etc/added": b"new"}, epoch=EPOCH)
    found = entries(done)
    assert list(found) == ["dev", "etc", "etc/added", "etc/passwd", "usr", "var/lib/dpkg/status"]
    assert {(m.mtime, m.uname, m.gname) for m in found.values()} == {(EPOCH, "", "")}
    assert (found["etc/passwd"].uid, found["etc/passwd"].gid, found["etc/passwd"].mode) == (7, 8, 0o640)
    assert cleaned.status == "Package: a\n"
    assert cleaned.entries == 6


def test_the_order_of_the_source_does_not_matter(tmp_path: Path) -> None:
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    link = {"type": tarfile.LNKTYPE, "mode": 0o755}
    make(
        one,
        ("./b", b"text", {"mode": 0o755}),
        ("./a", b"", {**link, "linkname": "./b"}),
        ("./c", b"", {**link, "linkname": "./b"}),
    )
    make(
        two,
        ("./c", b"text", {"mode": 0o755}),
        ("./b", b"", {**link, "linkname": "./c"}),
        ("./a", b"", {**link, "linkname": "./c"}),
    )
    for path in (one, two):
        clean(path, path.with_suffix(".done"), {}, epoch=EPOCH)
    assert one.with_suffix(".done").read_bytes() == two.with_suffix(".done").read_bytes()
    found = entries(one.with_suffix(".done"))
    assert found["a"].isreg()
    assert (found["b"].islnk(), found["b"].linkname) == (True, "a")


def test_a_link_to_something_removed_keeps_the_content(tmp_path: Path) -> None:
    raw, done = tmp_path / "raw.tar", tmp_path / "done.tar"
    make(raw, ("./tmp/x", b"text", {}), ("./usr/x", b"", {"type": tarfile.LNKTYPE, "linkname": "./tmp/x"}))
    clean(raw, done, {}, epoch=EPOCH)
    with tarfile.open(done) as archive:
        content = archive.extractfile("usr/x")
        assert content is not None
        assert content.read() == b"text"
        assert archive.getnames() == ["dev", "usr/x"]


def test_extended_attributes_stay(tmp_path: Path) -> None:
    raw, done = tmp_path / "raw.tar", tmp_path / "done.tar"
    capability = b"\x01\0\0\x02\0\x20\0\0\xff".decode("utf-8", "surrogateescape")
    attributes = {"SCHILY.xattr.security.capability": capability, "atime": "1.5"}
    make(raw, ("./usr/bin/ping", b"x", {"pax_headers": attributes}))
    clean(raw, done, {}, epoch=EPOCH)
    assert entries(done)["usr/bin/ping"].pax_headers["SCHILY.xattr.security.capability"] == capability
    assert "atime" not in entries(done)["usr/bin/ping"].pax_headers


@pytest.mark.parametrize(
    "path", ["etc/hostname", "dev/null", "run/lock/x", "tmp/a/b", "var/cache/apt/archives/partial", "etc/shadow-"]
)
def test_what_is_a_trace(path: str) -> None:
    assert is_removed(path)


@pytest.mark.parametrize(
    "path", ["dev", "tmp", "etc/hosts", "etc/shadow", "var/log", "var/log/wtmp", "var/cache/apt/archives"]
)
def test_what_is_none(path: str) -> None:
    assert not is_removed(path)
