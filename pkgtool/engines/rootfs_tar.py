"""A root file system's tar without what its packages do not determine.

mmdebstrap's versions, its modes and the machine leave traces: the host's resolver and name, locks and lists of
apt, logs, backups of databases. What is left here is the same wherever it was made: entries sorted, owners
numeric, times one moment, of hard links the first name holds the content.
"""

from __future__ import annotations

import copy
import fnmatch
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_REMOVED = (
    # Of the machine that made it.
    "etc/hostname",
    "etc/resolv.conf",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "dev/*",
    "proc/*",
    "sys/*",
    "run/*",
    "tmp/*",
    "var/tmp/*",
    # Of mmdebstrap: options and sources that name temporary places.
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    # Of programs that ran: lists, caches, locks, logs, backups.
    "var/lib/apt/lists/*",
    "var/lib/apt/extended_states",
    "var/lib/apt/periodic/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*",
    "var/cache/ldconfig/*",
    "var/cache/debconf/*-old",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/dpkg/available",
    "var/lib/dpkg/cmethopt",
    "var/backups/*",
    "var/log/*.log",
    "var/log/apt/*",
    "var/log/bootstrap.log",
    "etc/.pwd.lock",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "root/.bash_history",
    "root/.wget-hsts",
)
"""Patterns in which `*` stands for names with everything below them."""

_KEPT = frozenset({"run/lock"})
"""Directories among them that packages ship."""

STATUS = "var/lib/dpkg/status"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was written: the number of entries and bytes, and dpkg's status file."""

    entries: int
    size: int
    status: str


def clean(source: Path, target: Path, extra: Mapping[str, bytes], *, epoch: int) -> Cleaned:
    """Write `source` to `target` without the traces, and with the files `extra` (by path, mode 644, owner root).

    `epoch` is the time of every entry, in seconds since 1970.
    """
    with tarfile.open(source, "r:") as before, tarfile.open(target, "w:", format=tarfile.PAX_FORMAT) as after:
        members = {_path(member.name): member for member in before}
        kept = {path: member for path, member in members.items() if path and not is_removed(path)}
        _settle_links(kept, members)
        for path, added in extra.items():
            kept[path] = _added(path, len(added))
        kept.setdefault("dev", _directory("dev"))  # a mount point that mmdebstrap leaves out with what was in it
        for path in sorted(kept):
            member = kept[path]
            content = (
                io.BytesIO(extra[path]) if path in extra else before.extractfile(member) if member.isreg() else None
            )
            after.addfile(_settled(member, path, epoch), content)
        status = before.extractfile(members[STATUS]) if STATUS in members else None
        text = status.read().decode("utf-8", "replace") if status else ""
    return Cleaned(len(kept), target.stat().st_size, text)


def is_removed(path: str) -> bool:
    """Whether a path (without a leading slash) is a trace."""
    return path not in _KEPT and any(fnmatch.fnmatchcase(path, pattern) for pattern in _REMOVED)


def _path(name: str) -> str:
    return name.removeprefix("./").strip("/") if name != "." else ""


def _settle_links(kept: dict[str, tarfile.TarInfo], members: Mapping[str, tarfile.TarInfo]) -> None:
    """Of several names of one file the first in order gets the content; the others become links to it."""
    names: dict[str, list[str]] = {}
    for path, member in kept.items():
        if member.islnk():
            names.setdefault(_path(member.linkname), []).append(path)
    for holder, links in names.items():
        first, *others = sorted([*links, *([holder] if holder in kept else [])])
        content = members[holder]
        kept[first] = content
        for path in others:
            link = tarfile.TarInfo(path)
            link.type, link.linkname, link.mode = tarfile.LNKTYPE, first, content.mode
            link.uid, link.gid = content.uid, content.gid
            kept[path] = link


def _settled(member: tarfile.TarInfo, path: str, epoch: int) -> tarfile.TarInfo:
    """A copy with a plain name, one time and numeric owners; extended attributes stay."""
    attributes = {name: value for name, value in member.pax_headers.items() if name.startswith("SCHILY.xattr.")}
    settled = copy.copy(member)  # TarInfo.replace() came with 3.11.4; Debian 12 has 3.11.2
    settled.name, settled.mtime, settled.uname, settled.gname = path, epoch, "", ""
    settled.pax_headers = attributes
    return settled


def _added(path: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.size = size
    return info


def _directory(path: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info
