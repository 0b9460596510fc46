"""The image of a signed kernel out of the unsigned one's."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pkgtool import __version__
from pkgtool.cancel import Cancellation
from pkgtool.kernel.identity import Identity
from pkgtool.kernel.seal import SecureBootKey, Signatures, reseal, seal
from pkgtool.oci.canonical.extract import read_files
from pkgtool.oci.canonical.product import Product, RootfsConfig, from_rootfs
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store.layout import Layout

MADE_BY = f"pkgtool {__version__}"


@dataclass(frozen=True, slots=True)
class Sealing:
    """Where a kernel's signatures come from: a key holder, or `published` ones that are put on again."""

    identity: Identity | None = None
    secure_boot: SecureBootKey | None = None
    published: Signatures | None = None


def sealed(
    layout: Layout,
    unsigned: Descriptor,
    how: Sealing,
    scratch: Path,
    *,
    progress: Callable[[int, int], None],
    cancel: Cancellation,
) -> Product:
    """Sign the modules of an image of the store. Raises `KernelError`, and `Interrupted` if cancelled."""
    before, after = scratch / "unsigned", scratch / "sealed"
    unpack(layout, unsigned, before)
    if how.published:
        reseal(before, after, how.published)
    else:
        assert how.identity is not None
        seal(before, after, how.identity, secure_boot=how.secure_boot, progress=progress, cancel=cancel)
    archive = scratch / "image.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(after.iterdir()):
            tar.add(path, path.name, filter=_plain)
    return from_rootfs(archive, RootfsConfig())


def unpack(layout: Layout, image: Descriptor, target: Path) -> Path:
    """Write the regular files of an image below `target`; raises `StoreError` if it is damaged."""
    target.mkdir(parents=True)
    for path, stream in read_files(layout, image, lambda _: True):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
    return target


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
