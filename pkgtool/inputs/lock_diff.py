"""The difference of two locks, for people: what came, what went, which versions moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pkgtool.inputs.lock import Lock
from pkgtool.inputs.names import format_date


@dataclass(frozen=True, slots=True)
class Change:
    """One input that differs; an empty `old` or `new` means that it came or went. `where` is its architectures."""

    kind: str
    name: str
    old: str
    new: str
    where: tuple[str, ...] = ()

    def __str__(self) -> str:
        sign = "+" if not self.old else "-" if not self.new else "~"
        versions = " → ".join(version for version in (self.old, self.new) if version)
        return f"{sign} {self.name} {versions}" + (f" ({', '.join(self.where)})" if self.where else "")


def changes(old: Lock | None, new: Lock | None) -> tuple[Change, ...]:
    """Every difference, by kind and name."""
    before, after = old or Lock(), new or Lock()
    return (
        *_plain("archive", _archives(before), _archives(after)),
        *_debian(before, after),
        *_plain("file", _files(before), _files(after)),
        *_plain("git", _git(before), _git(after)),
        *_plain("go", _go(before), _go(after)),
    )


def render(found: tuple[Change, ...]) -> str:
    """Lines under a heading per kind; empty for no change."""
    headings = {"archive": "archives", "debian": "Debian packages", "file": "files", "git": "git", "go": "Go modules"}
    lines: list[str] = []
    for kind, heading in headings.items():
        of_kind = [change for change in found if change.kind == kind]
        if of_kind:
            lines += [f"{heading}:", *(f"  {change}" for change in of_kind)]
    return "\n".join(lines)


_Seen = tuple[str, str]
"""What people recognise an input by, and its digest."""
_NOTHING: _Seen = ("", "")


def _told(before: _Seen, after: _Seen) -> tuple[str, str]:
    """Both sides as text, with digests where only these differ: bytes that changed under one name must be seen."""
    if before[0] == after[0]:
        return f"{before[0]} [{before[1]}]", f"{after[0]} [{after[1]}]"
    return before[0], after[0]


def _plain(kind: str, old: Mapping[str, _Seen], new: Mapping[str, _Seen]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, _NOTHING), new.get(name, _NOTHING)
        if before != after:
            yield Change(kind, name, *_told(before, after))


def _debian(old: Lock, new: Lock) -> Iterator[Change]:
    """One change for all the architectures on which the same thing happened."""
    before, after = _debs(old), _debs(new)
    moved: dict[tuple[str, str, str], list[str]] = {}
    for name, arch in sorted(before.keys() | after.keys()):
        was, now = before.get((name, arch), _NOTHING), after.get((name, arch), _NOTHING)
        if was != now:
            moved.setdefault((name, *_told(was, now)), []).append(arch)
    for (name, version, successor), architectures in moved.items():
        yield Change("debian", name, version, successor, tuple(architectures))


def _debs(lock: Lock) -> dict[tuple[str, str], _Seen]:
    debs = lock.debian.debs if lock.debian else ()
    return {(d.name, arch): (d.version, d.content.digest.short) for d in debs for arch in d.architectures}


def _archives(lock: Lock) -> dict[str, _Seen]:
    archives = lock.debian.archives if lock.debian else ()
    return {f"{a.name} {a.suite}": (format_date(a.date), a.inrelease.short) for a in archives}


def _files(lock: Lock) -> dict[str, _Seen]:
    return {f.request.name: (f.request.url, f.content.digest.short) for f in lock.files}


def _git(lock: Lock) -> dict[str, _Seen]:
    return {g.request.name: (f"{g.request.ref} ({g.commit[:12]})", g.content.digest.short) for g in lock.git}


def _go(lock: Lock) -> dict[str, _Seen]:
    """Versions of each module that has its source in the lock; go.mod files alone are not what people look for."""
    found: dict[str, _Seen] = {}
    for module in lock.go.modules if lock.go else ():
        if module.zip:
            text, digest = found.get(module.module, _NOTHING)
            text = f"{text}, {module.version}" if text else module.version
            found[module.module] = text, f"{digest} {module.zip.digest.short}".strip()
    return found
