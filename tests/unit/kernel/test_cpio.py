"""The initramfs writer, judged by cpio."""

from __future__ import annotations

import io
import stat
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.kernel.boot import cpio


def archive(nodes, **options) -> bytes:
    target = io.BytesIO()
    cpio.write(target, nodes, **options)
    return target.getvalue()


NODES = [
    cpio.file("init", "#!/bin/sh\n", 0o755),
    cpio.link("bin", "usr/bin"),
    cpio.file("usr/bin/a", b"odd"),
    cpio.character_device("dev/console", 5, 1),
    cpio.directory("tmp", 0o1777),
]


def test_cpio_lists_what_was_written():
    listed = subprocess.run(
        ["cpio", "-itvn"],
        input=archive(NODES, epoch=0),
        capture_output=True,
        check=True,
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    )
    rows = [line.split() for line in listed.stdout.decode().splitlines()]
    assert [(row[0], row[-1]) for row in rows] == [
        ("lrwxrwxrwx", "usr/bin"),
        ("drwxr-xr-x", "dev"),
        ("crw-------", "dev/console"),
        ("-rwxr-xr-x", "init"),
        ("drwxrwxrwt", "tmp"),
        ("drwxr-xr-x", "usr"),
        ("drwxr-xr-x", "usr/bin"),
        ("-rw-r--r--", "usr/bin/a"),
    ]


def test_cpio_unpacks_what_was_written(tmp_path):
    nodes = [node for node in NODES if not stat.S_ISCHR(node.mode)]
    subprocess.run(["cpio", "-id", "--quiet"], input=archive(nodes), cwd=tmp_path, check=True)
    assert (tmp_path / "bin").readlink().as_posix() == "usr/bin"
    assert (tmp_path / "usr/bin/a").read_bytes() == b"odd"


@given(st.permutations(NODES))
def test_the_order_of_files_does_not_matter(nodes):
    assert archive(nodes) == archive(NODES)


def test_a_later_file_replaces_an_earlier_one():
    assert archive([cpio.file("a", "1"), cpio.file("a", "2")]) == archive([cpio.file("a", "2")])


@given(st.binary(max_size=50))
def test_everything_is_aligned(content):
    assert len(archive([cpio.file("f", content)])) % 4 == 0


@pytest.mark.parametrize("path", ["/etc", "../x", "a//b", "a/", ".", ""])
def test_odd_paths_are_refused(path):
    with pytest.raises(ValueError, match="plain relative path"):
        cpio.file(path, "")


def test_a_tar_and_a_directory_give_the_same_files(tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True, mode=0o755)
    (root / "etc/motd").write_text("hi\n")
    (root / "etc/motd").chmod(0o644)
    (root / "link").symlink_to("etc/motd")

    def of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        return member

    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        tar.add(root, ".", filter=of_root)
    assert archive(cpio.from_tar(tmp_path / "root.tar")) == archive(cpio.from_directory(root))


def test_hard_links_of_a_tar_become_files(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        member = tarfile.TarInfo("./a")
        member.size, member.mode = 2, 0o600
        tar.addfile(member, io.BytesIO(b"hi"))
        hard = tarfile.TarInfo("./b")
        hard.type, hard.linkname = tarfile.LNKTYPE, "./a"
        tar.addfile(hard)
    assert [(n.path, n.content) for n in cpio.from_tar(tmp_path / "x.tar")] == [("a", b"hi"), ("b", b"hi")]
