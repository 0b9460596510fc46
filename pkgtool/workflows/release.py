"""A release: one tag on every package, all of them or none as far as a registry allows, and a file that says which."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import RegistryError, SourceError, UsageError, raise_all
from pkgtool.events import Note, Sink
from pkgtool.fingerprint import Fingerprint
from pkgtool.oci import files
from pkgtool.oci.registry.describe import PublishedPackage, describe_published
from pkgtool.oci.registry.point import Replacing, TagMove, point_tags
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.transfer import in_parallel
from pkgtool.oci.store import Store
from pkgtool.release import Release, ReleasedPackage
from pkgtool.source.git import commit_of, find_top
from pkgtool.values import Digest, Platform, is_tag
from pkgtool.workflows.attestors import SigningOptions, open_attestor
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.push import refuse_dirty
from pkgtool.workflows.registries import open_registry, require_registry, tell_replaced
from pkgtool.workflows.release_record import Recording, record_release, sign_release, steps_of
from pkgtool.workflows.tree import Tree, find_root, open_store, open_tree, target_platforms


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """The release, where its file is, and how many tags had to be set (0: it was complete)."""

    release: Release
    file: Path
    set_tags: int
    records: tuple[Path, ...] = ()
    """What was signed: the bundle of the release file, the in-toto links and their layout."""


def release(
    options: RunOptions,
    name: str,
    packages: Sequence[str] = (),
    *,
    git_tag: str = "",
    replace: Sequence[str] = (),
    file: Path,
    signing: SigningOptions | None = None,
    recording: Recording | None = None,
    events: Sink,
    cancel: Cancellation,
) -> ReleaseReport:
    """Point the tag `name` of every package at its published index, and write the release file.

    From the clean working tree, or from the commit that `git_tag` names. With `signing` the release file gets a
    bundle with its signed statement; with `recording` as well, the release's steps are written down as in-toto links.
    Raises `SourceError` for a dirty tree, `RegistryError` (or `Problems`) for packages that are not published for all
    their platforms, `TagConflict` if the release tag stands elsewhere and `replace` does not name it, `PartlyPointed`
    if a registry failed in between: the same call goes on then.
    """
    if not is_tag(name):
        raise UsageError(f"{name!r} can't be a tag", hint="letters, digits, . _ -, at most 128")
    tree = _tree(options, git_tag, packages)
    refuse_dirty(tree)
    store = open_store(options, tree.workspace)
    address = require_registry(options, tree.workspace, [tree.fingerprints[n] for n in tree.names])
    records: list[Path] = []
    with store.in_use(cancel=cancel), ExitStack() as stack:
        attestor = stack.enter_context(closing(open_attestor(signing, tree.workspace))) if signing else None
        with open_registry(address, tree.workspace, store, events=events, cancel=cancel) as registry:
            found = _collect(options, tree, registry, name, address, git_tag)
            # Before any tag is set: what was not signed with this key can't be recorded.
            steps = steps_of(found, file, tree, registry, signing, recording) if signing and recording else None
            replaceable = _replaceable(found, replace)
            staged = _stage(store, found, restart=bool(replace))
            moves = [
                TagMove(registry.repository(package.repository), package.tag_in(name), package.index.digest)
                for package in found.packages
            ]
            events(Note("info", f"pointing {name} of {len(moves)} packages"))
            pointed = point_tags(moves, Replacing(replaceable, f"pkgtool release {name}"))
            tell_replaced(pointed, events)
            found.write(file)
            if attestor:
                records.append(sign_release(found, file, _source(tree), attestor))
            if steps:
                records += record_release(found, file, steps)
            elif recording:
                events(Note("info", "no in-toto links: they are signed with keys, and here none signs"))
        staged.unlink(missing_ok=True)
    return ReleaseReport(found, file, pointed.set, tuple(records))


def _replaceable(found: Release, replace: Sequence[str]) -> frozenset[str]:
    """The tags of the release that may be moved. Raises `UsageError` for one that it does not set."""
    own = found.tags_named((found.name,))
    if other := [tag for tag in replace if tag not in own]:
        raise UsageError(f"--replace {other[0]} is no tag of the release {found.name}")
    return found.tags_named(replace)


def _source(tree: Tree) -> str:
    """The repository's URL, as its packages name it."""
    return tree.workspace.settings.source_url or tree.package(tree.names[0]).source_url


def _tree(options: RunOptions, git_tag: str, packages: Sequence[str]) -> Tree:
    """The working tree, or that of the commit which a git tag names, whatever is checked out."""
    if not git_tag:
        return open_tree(options, packages)
    root = find_root(options.directory)
    if find_top(root) is None:
        raise SourceError(f"{root} is not in a git repository")
    return open_tree(options, packages, commit=commit_of(root, git_tag))


def _collect(options: RunOptions, tree: Tree, registry: Registry, name: str, address: str, git_tag: str) -> Release:
    """What the registry has under the tree's tags. Raises `RegistryError` or `Problems` for what it lacks."""
    wanted = target_platforms(options, tree.workspace, all_by_default=True)

    def look(package: str) -> ReleasedPackage | RegistryError | None:
        platforms = [platform for platform in tree.package(package).platforms if platform in wanted]
        if not platforms:
            return None
        fingerprint = tree.fingerprints[package]
        reference = fingerprint.reference
        found = describe_published(registry.repository(reference.repository), reference.tag)
        if problem := _incomplete(fingerprint, found, platforms, address):
            return problem
        return ReleasedPackage.of(package, reference.repository, reference.tag, found) if found else None

    answers = in_parallel(look, tree.names, registry.settings.parallel)
    raise_all(answer for answer in answers if isinstance(answer, RegistryError))
    packages = tuple(answer for answer in answers if isinstance(answer, ReleasedPackage))
    return Release(name, tree.sources.main.commit, address, packages, git_tag)


def _incomplete(
    fingerprint: Fingerprint, found: PublishedPackage | None, platforms: Sequence[Platform], address: str
) -> RegistryError | None:
    reference = fingerprint.reference
    missing = [platform for platform in platforms if found is None or platform not in found.images]
    if not missing:
        return None
    return RegistryError(
        f"{address}/{reference} is not published for {', '.join(map(str, missing))}",
        hint=f"pkgtool push {fingerprint.package}",
    )


def _stage(store: Store, found: Release, *, restart: bool) -> Path:
    """Write down what is about to be tagged. A release that was begun with other content is not mixed with this one.

    With `restart` the other one is given up, as its tags are about to be replaced.
    """
    key = Digest.of(f"{found.registry} {found.name}".encode()).short
    path = store.private / "releases" / f"{found.name}-{key}.json"
    if path.exists() and not restart:
        begun = Release.parse(path.read_bytes(), what=str(path))
        # Whether the commit is checked out or named by a git tag makes no difference to what is tagged.
        if with_changes(begun, git_tag="").encode() != with_changes(found, git_tag="").encode():
            raise SourceError(
                f"a release {found.name} was begun from commit {begun.commit[:12]} and not finished",
                hint=f"finish it: pkgtool release {found.name} --git-tag {begun.commit}; or give it up: rm {path}",
            )
    files.write_atomic(path, found.encode())
    return path
