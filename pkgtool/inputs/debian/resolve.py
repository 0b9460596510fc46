"""From the names in build.yml to every .deb of their closure, per architecture.

apt solves. What the parents hold is presented to it as installed, and so is the previous lock, whose versions
therefore stay unless something that moves needs newer ones: exactly what `apt-get install` does on a machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pkgtool.errors import InputError
from pkgtool.events import Note
from pkgtool.inputs.debian.apt import Apt, Candidate
from pkgtool.inputs.debian.closure import Held, needed, status_text, wanted, without_broken
from pkgtool.inputs.debian.control import Stanza, control_of, is_newer
from pkgtool.inputs.debian.places import deb_artifact, older_name, origin
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.lock import Archive, Content, Deb, DebianLock, DebianRequest
from pkgtool.inputs.request import Parents
from pkgtool.model import TreeSettings


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be resolved for one package. `update` names what may move; None lets everything move."""

    package: str
    request: DebianRequest
    parents: Parents
    previous: DebianLock | None
    update: frozenset[str] | None


class DebianResolver:
    """Resolves with one state of the archive, which `apt` holds and `archives` describes."""

    def __init__(self, apt: Apt, archives: Sequence[Archive], fetcher: Fetcher, settings: TreeSettings) -> None:
        self._apt = apt
        self._archives = tuple(archives)
        self._fetcher = fetcher
        self._settings = settings

    def resolve(self, question: Question) -> DebianLock:
        """The new lock. Raises `InputError` with apt's reasons if there is no solution."""
        found: dict[tuple[str, str, str, str], Deb] = {}
        for arch in question.request.architectures:
            for deb in self._closure(question, arch):
                key = (deb.name, deb.arch, deb.version, deb.path)
                same = found.get(key)
                found[key] = replace(deb, architectures=(*same.architectures, arch)) if same else deb
        debs = tuple(sorted(found.values()))
        used = {deb.archive for deb in debs}
        older = _older_archives(question.previous, used)
        return DebianLock(question.request, (*self._archives, *older), debs)

    def _closure(self, question: Question, arch: str) -> list[Deb]:
        held, lost = self._held(question, arch)
        asked = wanted(question.request, held, question.update or frozenset(), lost)
        try:
            candidates = self._apt.install(arch, status_text(held.values()), asked)
        except InputError as error:
            if question.previous is not None and question.update is not None:
                error.hint = f"let everything move: pkgtool lock --update-all {question.package}"
            else:
                error.hint = f"correct the Debian packages in the build.yml of {question.package}"
            raise
        own = {name: (entry.deb, entry.stanza) for name, entry in held.items() if entry.own}
        versions = [(candidate.name, candidate.version) for candidate in candidates]
        stanzas = self._apt.stanzas(arch, versions)
        for candidate in candidates:
            own[candidate.name] = (_deb(candidate, arch), stanzas[candidate.name, candidate.version])
        parents = {deb.name for _, _, deb in _parent_debs(question.parents, arch)}
        kept = needed(question.request, {name: stanza for name, (_, stanza) in own.items()}, parents)
        return [deb for name, (deb, _) in own.items() if name in kept]

    # -- what counts as installed -----------------------------------------------------------------------

    def _held(self, question: Question, arch: str) -> tuple[dict[str, Held], set[str]]:
        """By name: the parents' packages, and above them those of the previous lock that are not older.

        The second part names what of the previous lock can no longer be had in its version, but in another one.
        """
        inherited = {deb.name: (package, lock, deb) for package, lock, deb in _parent_debs(question.parents, arch)}
        previous = question.previous if question.update is not None else None
        own = [
            replace(deb, architectures=(arch,))
            for deb in (previous.for_architecture(arch) if previous else ())
            if deb.name not in inherited or is_newer(deb.version, inherited[deb.name][2].version)
        ]
        listed = self._listed(arch, [*(deb for _, _, deb in inherited.values()), *own])
        unlisted = [entry for entry in inherited.values() if entry[2].content not in listed]
        self._fetcher.fetch(
            [deb_artifact(package, deb, lock, self._settings) for package, lock, deb in unlisted],
            step=f"lock {question.package}",
        )
        held: dict[str, Held] = {}
        for package, lock, deb in inherited.values():
            stanza = listed.get(deb.content) or self._read(package, deb, lock)
            held[deb.name] = Held(deb, stanza, own=False)
        for deb in own:
            entry = self._kept(question.package, deb, previous, listed.get(deb.content))
            if entry:
                held[deb.name] = entry
        lost = {deb.name for deb in own} - held.keys()
        replaceable = self._apt.known(arch, lost)
        return (held if replaceable == lost else without_broken(held)), replaceable

    def _listed(self, arch: str, debs: Iterable[Deb]) -> dict[Content, Stanza]:
        """The stanzas of those debs that the archive still has, by their content."""
        by_version = {(deb.name, deb.version): deb.content for deb in debs}
        found = self._apt.stanzas(arch, by_version)
        return {
            by_version[key]: stanza
            for key, stanza in found.items()
            if key in by_version and stanza.get("SHA256") == by_version[key].digest.hex
        }

    def _kept(self, package: str, deb: Deb, previous: DebianLock | None, listed: Stanza | None) -> Held | None:
        """A package of the previous lock, if it can still be had; otherwise this is told."""
        assert previous is not None
        if listed is not None:
            return Held(self._in_current_archive(deb, listed), listed, own=True)
        try:
            stanza = self._read(package, deb, previous)
        except InputError as error:
            message = f"{deb} of the old lock is gone from the mirror and the snapshot archive, so it moves"
            self._fetcher.events(Note("warning", message))
            self._fetcher.events(Note("debug", "; ".join((error.message, *error.details))))
            return None
        archive = next((a for a in previous.archives if a.name == deb.archive), None)
        return Held(replace(deb, archive=older_name(archive) if archive else deb.archive), stanza, own=True)

    def _in_current_archive(self, deb: Deb, stanza: Stanza) -> Deb:
        """The same package where it lies now: a point release takes packages over from the security archive."""
        path = stanza.get("Filename", deb.path)
        if path == deb.path:
            return replace(deb, archive=origin(deb.archive))
        located = self._apt.locate(deb.architectures[0], deb.name, deb.version)
        return replace(deb, archive=located.archive, path=located.path)

    def _read(self, package: str, deb: Deb, lock: DebianLock) -> Stanza:
        artifact = deb_artifact(package, deb, lock, self._settings)
        self._fetcher.fetch([artifact], step=f"lock {package}")
        return control_of(self._fetcher.store.input_path(artifact.digest))


def _parent_debs(parents: Parents, arch: str) -> list[tuple[str, DebianLock, Deb]]:
    """Every parent's packages, farthest first; of two with one name the later one counts."""
    return [
        (name, lock.debian, deb) for name, lock in parents if lock.debian for deb in lock.debian.for_architecture(arch)
    ]


def _deb(candidate: Candidate, arch: str) -> Deb:
    return Deb(
        name=candidate.name,
        arch=candidate.arch,
        version=candidate.version,
        architectures=(arch,),
        archive=candidate.archive,
        path=candidate.path,
        content=candidate.content,
    )


def _older_archives(previous: DebianLock | None, used: set[str]) -> list[Archive]:
    """The states of the archive that only packages kept from the previous lock refer to."""
    named: Mapping[str, Archive] = {older_name(a): a for a in previous.archives} if previous else {}
    return [replace(archive, name=name) for name, archive in sorted(named.items()) if name in used]
