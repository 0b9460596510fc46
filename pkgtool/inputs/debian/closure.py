"""The pure part of resolving: what counts as installed, what to ask apt for, and what nobody needs any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pkgtool.inputs.debian.control import Stanza, dependencies, format_stanza, provided
from pkgtool.inputs.lock import Deb, DebianRequest

_NOT_IN_STATUS = frozenset({"Package", "Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Description-md5"})
"""Of a stanza of Packages. The rest must stay: apt takes versions for different ones if, say, Installed-Size is."""

_ESSENTIAL = "?and(?essential,?not(?installed))"
_PRIORITIES = {
    "required": ("required",),
    "minbase": ("required",),
    "buildd": ("required",),
    "important": ("required", "important"),
    "debootstrap": ("required", "important"),
    "-": ("required", "important"),
    "standard": ("required", "important", "standard"),
}
_NAMED = {"apt": ("apt",), "minbase": ("apt",), "buildd": ("apt", "build-essential")}
_EMPTY = frozenset({"", "custom", "extract"})
VARIANTS = frozenset({*_PRIORITIES, *_EMPTY, "essential", "apt"})
"""What mmdebstrap(1) calls variants; `important`, `debootstrap` and `-` bring apt by its own priority."""


@dataclass(frozen=True, slots=True)
class Held:
    """A package that counts as installed: a parent's, or one of this package's own previous lock."""

    deb: Deb
    stanza: Stanza
    own: bool


def status_text(held: Iterable[Held]) -> str:
    """A dpkg status file in which all of them are installed."""
    parts = []
    for entry in held:
        kept = {name: value for name, value in entry.stanza.items() if name not in _NOT_IN_STATUS}
        parts.append(format_stanza({"Package": entry.deb.name, "Status": "install ok installed", **kept}))
    return "\n".join(parts)


def wanted(request: DebianRequest, held: Mapping[str, Held], update: Collection[str], lost: Iterable[str]) -> list[str]:
    """What apt is asked to install: what is not there yet or no more, and what shall move."""
    named = [*request.packages, *_NAMED.get(request.variant, ()), *sorted(lost)]
    names = [name for name in named if name not in held]
    names += sorted(name for name in update if name in held)
    return [*_patterns(request.variant), *dict.fromkeys(names)]


def _patterns(variant: str) -> list[str]:
    """apt-patterns(7) for what a variant installs without naming it."""
    if variant in _EMPTY:
        return []
    priorities = _PRIORITIES.get(variant, ())
    return [_ESSENTIAL, *(f"?and(?priority({priority}),?not(?installed))" for priority in priorities)]


def without_broken(held: Mapping[str, Held]) -> dict[str, Held]:
    """Without those of the own packages that miss a dependency: apt refuses to start from a broken state."""
    left = dict(held)
    while True:
        there = {name for entry in left.values() for name in (entry.deb.name, *provided(entry.stanza))}
        broken = [
            name
            for name, entry in left.items()
            if entry.own and any(there.isdisjoint(alternatives) for alternatives in dependencies(entry.stanza))
        ]
        if not broken:
            return left
        for name in broken:
            del left[name]


def needed(request: DebianRequest, own: Mapping[str, Stanza], parents: Collection[str]) -> set[str]:
    """Those of `own` that the request still reaches: what an update has made superfluous is left out.

    A newer version of what a parent holds always stays: packages of the parent may need just that version.
    """
    roots = {*request.packages, *_NAMED.get(request.variant, ())}
    roots |= {name for name, stanza in own.items() if name in parents or _of_variant(request.variant, stanza)}
    providers: dict[str, list[str]] = {}
    for name, stanza in own.items():
        for virtual in (name, *provided(stanza)):
            providers.setdefault(virtual, []).append(name)
    found: set[str] = set()
    queue = [provider for root in sorted(roots) for provider in providers.get(root, ())]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            for alternatives in dependencies(own[name]):
                queue += [provider for choice in alternatives for provider in providers.get(choice, ())]
    return found


def _of_variant(variant: str, stanza: Stanza) -> bool:
    if variant in _EMPTY:
        return False
    return stanza.get("Essential") == "yes" or stanza.get("Priority", "") in _PRIORITIES.get(variant, ())
