"""What engines leave behind where they mount things for a RUN step, made the same for all of them.

Docker's BuildKit leaves directories, newer ones leave nothing, buildah leaves directories and empty files. An image
whose Dockerfile ran something therefore always has the directories, and never the files that nobody wrote.
"""

from __future__ import annotations

from collections.abc import Mapping

from pkgtool.oci.canonical.tar_format import REGULAR
from pkgtool.oci.canonical.tree import IMPLIED_DIRECTORY, Attributes, Entry

_DIRECTORIES = ("dev", "etc", "proc", "run", "sys")
_FILES = ("etc/hostname", "etc/hosts", "etc/resolv.conf")
_STUB = Attributes(REGULAR, 0o755, 0, 0)


def settle_mount_points(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> dict[str, Entry]:
    """The finished file system `after` without stub files, and with all mount points."""
    settled = {
        path: entry
        for path, entry in after.items()
        if not (path in _FILES and path not in before and entry.attributes == _STUB)
    }
    for path in _DIRECTORIES:
        settled.setdefault(path, Entry(IMPLIED_DIRECTORY))
    return settled
