"""What engines leave behind where they mount things for a RUN step, made the same for all of them.

Docker's BuildKit leaves directories, newer ones leave nothing, buildah leaves directories and empty files. An image
whose Dockerfile ran something therefore always has the usual directories, and never the files and directories that
only a mount needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pkgtool.oci.canonical.tar_format import DIRECTORY, REGULAR
from pkgtool.oci.canonical.tree import IMPLIED_DIRECTORY, Attributes, Entry

_DIRECTORIES = ("dev", "etc", "proc", "run", "sys")
_FILES = ("etc/hostname", "etc/hosts", "etc/resolv.conf")
_STUB = Attributes(REGULAR, 0o755, 0, 0)


def settle_mount_points(
    before: Mapping[str, Entry], after: Mapping[str, Entry], targets: Iterable[str]
) -> dict[str, Entry]:
    """The finished file system `after` without stubs, and with all usual mount points.

    `targets` are the paths of the Dockerfile's own mounts.
    """
    settled = {
        path: entry
        for path, entry in after.items()
        if not (path in _FILES and path not in before and entry.attributes == _STUB)
    }
    for target in targets:
        _remove_stub(target, before, settled)
    for path in _DIRECTORIES:
        settled.setdefault(path, Entry(IMPLIED_DIRECTORY))
    return settled


def _remove_stub(target: str, before: Mapping[str, Entry], settled: dict[str, Entry]) -> None:
    """Remove an empty directory (or file) that only a mount needed, and those above it that are empty then."""
    path = target
    while path and path in settled and path not in before:
        attributes = settled[path].attributes
        empty = attributes.size == 0 and attributes.kind in (DIRECTORY, REGULAR)
        if not empty or any(other.startswith(f"{path}/") for other in settled):
            return
        del settled[path]
        path = path.rpartition("/")[0]
