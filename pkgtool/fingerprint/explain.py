"""The difference of two fingerprints: which file, argument, dependency or setting moved a tag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pkgtool.fingerprint.compute import Fingerprint
from pkgtool.fingerprint.record import Value

FileChanges = Callable[[str, str], Sequence[tuple[str, str]]]
"""From two object ids to the paths that differ, each with git's letter (A, M, D, T)."""

_VERBS = {"A": "added", "D": "removed", "M": "changed", "T": "of another type"}


@dataclass(frozen=True, slots=True)
class Change:
    """One cause, what it was and is, and for a dependency the causes behind it."""

    what: str
    name: str
    before: str
    after: str
    behind: tuple[Change, ...] = ()

    def lines(self, indent: str = "") -> Iterator[str]:
        """The change for people, with what lies behind it indented below."""
        if self.what == "file":
            yield f"{indent}{self.what} {self.name}: {self.after}"
        else:
            yield f"{indent}{self.what} {self.name}: {self.before or 'absent'} → {self.after or 'absent'}"
        for change in self.behind:
            yield from change.lines(indent + "  ")


def explain(
    name: str, before: Mapping[str, Fingerprint], after: Mapping[str, Fingerprint], changed_files: FileChanges
) -> tuple[Change, ...]:
    """Why the fingerprint of a package differs between two states of the tree; empty if it does not."""
    old, new = before[name].record, after[name].record
    changes = [
        *_source_changes(old, new, changed_files),
        *_mapping_changes("build argument", old.get("build-args"), new.get("build-args")),
        *_mapping_changes("setting", old.get("settings"), new.get("settings")),
    ]
    if old["image-format"] != new["image-format"]:
        changes.append(Change("image format", "", str(old["image-format"]), str(new["image-format"])))
    old_edges, new_edges = _edges(old), _edges(new)
    for edge in sorted(old_edges.keys() | new_edges.keys()):
        was, now = old_edges.get(edge, ""), new_edges.get(edge, "")
        if was != now:
            behind = explain(edge[1], before, after, changed_files) if was and now else ()
            changes.append(Change(_role(edge[0]), edge[1], was, now, behind))
    return tuple(changes)


def _role(role: str) -> str:
    return "dependency" if role == "package" else role


def _source_changes(old: Mapping[str, Value], new: Mapping[str, Value], changed_files: FileChanges) -> Iterator[Change]:
    before = {str(s["destination"]): s for s in _mappings(old["sources"])}
    after = {str(s["destination"]): s for s in _mappings(new["sources"])}
    for destination in sorted(before.keys() | after.keys()):
        was, now = before.get(destination), after.get(destination)
        if was is None or now is None:
            old_id, new_id = (str(side["id"]) if side else "" for side in (was, now))
            yield Change("source", destination or "the package", old_id, new_id)
        elif was != now:
            for path, letter in changed_files(str(was["id"]), str(now["id"])):
                place = f"{destination}/{path}" if destination and path else destination or path
                yield Change("file", place, "", _VERBS.get(letter, letter))
            if was.get("dirty-submodules") != now.get("dirty-submodules"):
                yield Change("file", destination or "a submodule", "", "changed inside a submodule")


def _mapping_changes(what: str, old: Value | None, new: Value | None) -> Iterator[Change]:
    before = old if isinstance(old, Mapping) else {}
    after = new if isinstance(new, Mapping) else {}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change(what, name, str(before.get(name, "")), str(after.get(name, "")))


def _edges(record: Mapping[str, Value]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for edge in record.get("dependencies", ()):
        if not isinstance(edge, str):
            role, name, tag = (str(part) for part in edge)
            found[role, name] = tag
    return found


def _mappings(value: Value) -> list[Mapping[str, Value]]:
    return [item for item in value if isinstance(item, Mapping)]
