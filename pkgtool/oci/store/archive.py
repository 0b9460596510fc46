"""Images in a directory or a tar file of their own, to carry them where no network goes.

Both are an OCI image layout (image-spec, image-layout.md) that skopeo, crane and oras read too. A tar file is
written beside its place and renamed at the end; reading one takes nothing from it but a layout's own files.
"""

from __future__ import annotations

import contextlib
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pkgtool.errors import StoreError
from pkgtool.oci.store.layout import Layout
from pkgtool.oci.store.store import remove_tree

_MEMBER = re.compile(r"(?:\./)?(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})\Z")


@contextmanager
def exported(path: Path) -> Iterator[Layout]:
    """A layout to write into, which is at `path` afterwards: a tar file if it ends in `.tar`, else a directory.

    A directory that holds a layout already is added to; a tar file is replaced. Raises `StoreError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tar":
        with _scratch(path.parent) as scratch:
            layout = _layout(scratch / "layout", scratch)
            layout.create()
            yield layout
            _pack(scratch / "layout", scratch / "archive.tar")
            (scratch / "archive.tar").replace(path)
        return
    if path.exists() and any(path.iterdir()) and not (path / "oci-layout").exists():
        raise StoreError(f"{path} is not empty and holds no images", hint="name a new directory, or one made before")
    with _scratch(path.parent) as scratch:
        layout = _layout(path, scratch)
        layout.create()
        yield layout


@contextmanager
def imported(path: Path) -> Iterator[Layout]:
    """The layout in a directory or tar file, for reading. Nothing in it is verified until it is read.

    Raises `StoreError` if there is none, or if a tar file holds anything but a layout.
    """
    if path.is_dir():
        if not (path / "index.json").exists():
            raise StoreError(f"{path} holds no images: it has no index.json")
        with _scratch(None) as scratch:
            yield _layout(path, scratch)
        return
    with _scratch(path.parent if path.parent.is_dir() else None) as scratch:
        _unpack(path, scratch / "layout")
        yield _layout(scratch / "layout", scratch)


def _layout(root: Path, scratch: Path) -> Layout:
    temporary = scratch / "tmp"
    temporary.mkdir(exist_ok=True)
    return Layout(root, temporary=lambda: temporary, lock=scratch / "lock")


@contextmanager
def _scratch(directory: Path | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=".pkgtool-", dir=directory))
    try:
        yield path
    finally:
        remove_tree(path)


def _pack(root: Path, archive: Path) -> None:
    """A tar file whose bytes depend on nothing but its content."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("oci-layout", "index.json", *sorted(f"blobs/sha256/{p.name}" for p in _blobs(root))):
            file = root / name
            member = tarfile.TarInfo(name)
            member.size = file.stat().st_size
            member.mode = 0o644
            with file.open("rb") as content:
                tar.addfile(member, content)


def _blobs(root: Path) -> Iterator[Path]:
    return (root / "blobs" / "sha256").iterdir()


def _unpack(archive: Path, root: Path) -> None:
    (root / "blobs" / "sha256").mkdir(parents=True)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                _take(tar, member, root, archive)
    except FileNotFoundError as problem:
        raise StoreError(f"{archive} does not exist") from problem
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise StoreError(f"{archive} is not a readable archive: {problem}") from problem
    if not (root / "index.json").exists():
        raise StoreError(f"{archive} holds no images: it has no index.json")


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, archive: Path) -> None:
    if member.isdir():
        return
    match = _MEMBER.match(member.name)
    if not match or not member.isreg():
        raise StoreError(f"{archive} holds {member.name!r}, which does not belong into an OCI image layout")
    content = tar.extractfile(member)
    assert content is not None
    with contextlib.closing(content), (root / match.group(1)).open("xb") as file:
        while piece := content.read(1024 * 1024):
            file.write(piece)
