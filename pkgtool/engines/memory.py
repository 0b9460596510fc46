"""How much memory a build may take for its files: what the machine has free, within the limits of this process."""

from __future__ import annotations

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def available(meminfo: Path = _MEMINFO, own_group: Path = _OWN_GROUP, groups: Path = _GROUPS) -> int:
    """Bytes that can be used without swapping, and without reaching a limit of a control group (version 2)."""
    found = [_free(meminfo)]
    place = groups / _relative(own_group)
    while place != groups.parent:
        found += _left(place)
        place = place.parent
    return min(found)


def _free(meminfo: Path) -> int:
    for line in _text(meminfo).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return 0


def _relative(own_group: Path) -> str:
    """The path of the group, from the line `0::/path` of version 2."""
    lines = [line for line in _text(own_group).splitlines() if line.startswith("0::")]
    return lines[0].removeprefix("0::").strip("/") if lines else ""


def _left(place: Path) -> list[int]:
    limit, used = _text(place / "memory.max").strip(), _text(place / "memory.current").strip()
    return [max(0, int(limit) - int(used))] if limit.isdigit() and used.isdigit() else []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
