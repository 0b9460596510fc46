"""Pointing many tags at what is published: all of them or none, as far as registries allow it.

Registries know no transaction. So everything is checked before anything is written; what is written is looked at
again; and what went wrong in between is reported, not undone behind the user's back: the same command goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pkgtool.errors import PkgtoolError, RegistryError, raise_all
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.registry.errors import PartlyPointed, TagConflict
from pkgtool.oci.registry.transfer import in_parallel
from pkgtool.oci.repository import Target
from pkgtool.values import Digest


@dataclass(frozen=True, slots=True)
class TagMove:
    """`tag` of `repository` shall point at `digest`, which must be there."""

    repository: Target
    tag: str
    digest: Digest

    def __str__(self) -> str:
        return f"{self.repository.name}:{self.tag}"


@dataclass(frozen=True, slots=True)
class Pointed:
    """How many tags were not right already, and those of them that held other content: name, old and new digest."""

    set: int
    replaced: tuple[tuple[str, Digest, Digest], ...] = ()


@dataclass(frozen=True, slots=True)
class Replacing:
    """The tags whose content may be replaced, and the command whose `--replace` says so (for hints)."""

    tags: Collection[str] = ()
    command: str = "pkgtool push"


NOTHING = Replacing()


def refuse_conflicts(moves: Sequence[TagMove], replacing: Replacing = NOTHING, *, parallel: int = 8) -> None:
    """Raises `TagConflict` (or `Problems` of several) for tags that hold other content and may not be replaced."""
    found = in_parallel(lambda move: _conflict(move, move.repository.resolve(move.tag), replacing), moves, parallel)
    raise_all(conflict for conflict in found if conflict)


def point_tags(moves: Sequence[TagMove], replacing: Replacing = NOTHING, *, parallel: int = 8) -> Pointed:
    """Set all the tags.

    Raises, with no tag set: `TagConflict` (or `Problems` of several) if a tag is published with other content and
    is not among those that may be replaced, `RegistryError` if a digest is not there. Raises `PartlyPointed` if some
    could not be written: it says which, and a second call does those.
    """
    checked = in_parallel(lambda move: _check(move, replacing), moves, parallel)
    raise_all(found for found in checked if isinstance(found, PkgtoolError))
    pending = [found for found in checked if isinstance(found, _Pending)]
    results = in_parallel(_write, pending, parallel)
    failed = [(str(item.move), why) for item, why in zip(pending, results, strict=True) if why]
    if failed:
        names = {name for name, _ in failed}
        raise PartlyPointed(done=[str(move) for move in moves if str(move) not in names], failed=failed)
    return Pointed(len(pending), tuple((str(p.move), p.before, p.move.digest) for p in pending if p.before))


@dataclass(frozen=True, slots=True)
class _Pending:
    move: TagMove
    media_type: str
    content: bytes = field(repr=False)
    before: Digest | None


def _conflict(move: TagMove, found: Descriptor | None, replacing: Replacing) -> TagConflict | None:
    if found is None or found.digest == move.digest or move.tag in replacing.tags:
        return None
    return TagConflict(str(move), published=found.digest, ours=move.digest, command=replacing.command)


def _check(move: TagMove, replacing: Replacing) -> _Pending | RegistryError | None:
    """None if the tag is right already. A registry that can't answer raises: nothing has been written yet."""
    found = move.repository.resolve(move.tag)
    if found and found.digest == move.digest:
        return None
    if conflict := _conflict(move, found, replacing):
        return conflict
    manifest = move.repository.get_manifest(move.digest)
    if manifest is None:
        return RegistryError(
            f"{move} can't be set: {move.repository.name}@{move.digest} is not published", hint="pkgtool push"
        )
    return _Pending(move, manifest[0].media_type, manifest[1], found.digest if found else None)


def _write(item: _Pending) -> str:
    """What went wrong, or an empty string. One that fails must not keep the others from being set."""
    try:
        item.move.repository.put_manifest(item.content, item.media_type, tag=item.move.tag)
        found = item.move.repository.resolve(item.move.tag)
    except PkgtoolError as problem:
        return problem.message
    return "" if found and found.digest == item.move.digest else "somebody else set it to other content meanwhile"
