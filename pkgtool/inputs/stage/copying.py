"""A private copy of a file in the store, whose bytes have been checked after copying."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pkgtool.oci.files import hash_file
from pkgtool.values import Digest


def copy_verified(source: Path, target: Path, digest: Digest) -> bool:
    """Copy; false, and no file, if what was copied does not have the digest (or the source is gone)."""
    try:
        _copy(source, target)
    except FileNotFoundError:
        return False
    if hash_file(target) == digest:
        return True
    target.unlink()
    return False


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            # copy_file_range(2) shares blocks where the file system can (btrfs, XFS), else it copies in the kernel.
            while left > 0:
                copied = os.copy_file_range(reader.fileno(), writer.fileno(), left)
                if not copied:
                    break
                left -= copied
        except OSError:
            reader.seek(0)
            writer.seek(0)
            writer.truncate()
            shutil.copyfileobj(reader, writer)
