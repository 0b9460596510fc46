"""Rebuild what is published, from where its provenance says it comes, and compare the bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pkgtool.cancel import Cancellation
from pkgtool.errors import CheckFailed, SourceError, UsageError, VerificationError
from pkgtool.events import Note, Sink
from pkgtool.model import BuildArg
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.repository import Repository
from pkgtool.oci.store import MemoRecord, Store
from pkgtool.signing.statements.provenance import BUILD_TYPE
from pkgtool.signing.statements.statement import PROVENANCE
from pkgtool.signing.verify.claimed import statements
from pkgtool.source.checkout import checked_out, has_commit
from pkgtool.source.git import find_top
from pkgtool.values import ImageRef, Platform
from pkgtool.workflows.named_images import Finder, PublishedImage
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.rebuild import Comparison, compared, elsewhere, rebuild, rebuilt_steps
from pkgtool.workflows.reproduce import ReproduceReport
from pkgtool.workflows.sign import workspace_or_none
from pkgtool.workflows.tree import open_tree, open_workspace


@dataclass(frozen=True, slots=True)
class Origin:
    """What a provenance says an image was built from: where, which package, and by what."""

    package: str
    tag: str
    source: str
    commit: str
    arguments: tuple[tuple[str, str], ...]
    made_by: str


def reproduce_published(
    options: RunOptions,
    references: Sequence[ImageRef],
    *,
    source: str = "",
    events: Sink,
    cancel: Cancellation,
) -> ReproduceReport:
    """Rebuild published images from the commits that their provenance names, and compare with what is published.

    The provenance need not be believed, nor is it: either what it names gives the same bytes or it does not. But what
    it names is run, so the repository is never taken from it: it is `source`, or this tree's own. The chosen platforms
    are built, or all that are published. Raises `VerificationError` for an image without a usable provenance,
    `SourceError` if the repository lacks the commit, `CheckFailed` if the commit's tree gives another tag.
    """
    comparisons: list[Comparison] = []
    with Finder(options, events=events, cancel=cancel) as finder:
        for reference in references:
            published = finder.published(reference)
            images = _chosen(options, published)
            origin = _origin(published.repository, images)
            events(Note("info", f"{reference}: {origin.package} of commit {origin.commit[:12]}"))
            with checked_out(origin.commit, source or _own_repository(options, origin)) as place:
                found = _reproduce(options, finder.store, place, origin, images, events=events, cancel=cancel)
            if found.failed:
                return found
            comparisons += found.comparisons
    return ReproduceReport(tuple(comparisons))


def _chosen(options: RunOptions, published: PublishedImage) -> dict[Platform, Descriptor]:
    images = published.image.images
    missing = [str(platform) for platform in options.platforms if platform not in images]
    if missing or not images:
        raise UsageError(f"{published.image.reference} has no {' or '.join(missing) or 'image at all'}")
    return {platform: images[platform] for platform in sorted(options.platforms or images)}


# -- provenance -------------------------------------------------------------------------------------------


def _origin(repository: Repository, images: Mapping[Platform, Descriptor]) -> Origin:
    found = {_of_image(repository, platform, image) for platform, image in images.items()}
    origins = {replace(each, arguments=(), made_by="") for each in found}
    if len(origins) > 1:
        raise VerificationError(
            f"the platforms of {repository.name} were built from different commits",
            details=sorted(f"{each.commit} ({each.source})" for each in origins),
            hint="reproduce them one by one, with --platform",
        )
    return next(iter(found))


def _of_image(repository: Repository, platform: Platform, image: Descriptor) -> Origin:
    name = f"{repository.name}@{image.digest} ({platform})"
    problems = []
    for statement in statements(repository, image.digest, PROVENANCE):
        try:
            return _read(statement.predicate)
        except (KeyError, TypeError, StopIteration, ValueError) as problem:
            problems.append(f"one is not as pkgtool writes it: {problem}")
    raise VerificationError(
        f"{name} has no provenance that says what it was built from",
        details=problems,
        hint="pkgtool sign attaches the provenance of what was built here",
    )


def _read(predicate: Mapping[str, Any]) -> Origin:
    definition = predicate["buildDefinition"]
    if definition["buildType"] != BUILD_TYPE:
        raise ValueError(f"its build type is {definition['buildType']!r}")
    outside, inside = definition["externalParameters"], definition["internalParameters"]
    source = next(each for each in definition["resolvedDependencies"] if each.get("name") == "source")
    if source["annotations"]["dirty"]:
        raise ValueError("it was built from changes that are in no commit")
    engine = str(inside["engine"])
    return Origin(
        package=str(outside["package"]),
        tag=str(outside["tag"]),
        source=str(outside["source"]),
        commit=_commit(source["digest"]["gitCommit"]),
        arguments=tuple(sorted((str(name), str(value)) for name, value in outside["arguments"].items())),
        made_by=f"{engine} {predicate['runDetails']['builder']['version'].get(engine, '')}",
    )


def _commit(text: Any) -> str:
    if not isinstance(text, str) or len(text) not in (40, 64) or text.strip("0123456789abcdef"):
        raise ValueError(f"{text!r} is no commit")
    return text


# -- source -----------------------------------------------------------------------------------------------


def _own_repository(options: RunOptions, origin: Origin) -> str:
    """The repository that this tree is in, if it has the commit."""
    top = find_top(options.directory.resolve())
    if top is None or not has_commit(top, origin.commit):
        where = f"this repository {top}" if top else "there is no repository here, so it"
        raise SourceError(
            f"{where} does not have the commit {origin.commit}",
            details=(f"the provenance says it is of {origin.source}",),
            hint="git fetch, or if you trust that source to run its build steps here: --source URL",
        )
    return str(top)


def _reproduce(
    options: RunOptions,
    store: Store,
    place: Path,
    origin: Origin,
    images: Mapping[Platform, Descriptor],
    *,
    events: Sink,
    cancel: Cancellation,
) -> ReproduceReport:
    there = _options(options, store, place, origin, tuple(images))
    name = _package(there, origin)
    there = _with_arguments(there, name, origin)
    with elsewhere(there, store, [name]) as other:
        built = rebuild(there, [name], {origin.made_by}, other, events=events, cancel=cancel)
        if not built.results.good:
            return ReproduceReport((), built)
        comparisons = []
        for step in rebuilt_steps(built, [name]):
            assert step.platform is not None
            image = images[step.platform]
            original = MemoRecord(image, store.layout.manifest(image).blobs, origin.made_by, 0.0)
            comparisons.append(compared(original, store, built, step))
    return ReproduceReport(tuple(comparisons))


def _options(
    options: RunOptions, store: Store, place: Path, origin: Origin, platforms: tuple[Platform, ...]
) -> RunOptions:
    inside = _inside(options, place)
    organisation = origin.package.rpartition("/")[0]
    plain = replace(options, directory=inside, store=store.root, platforms=platforms, pull=False, registry="")
    workspace, _ = open_workspace(plain)
    if any(package.repository == origin.package for package in workspace.packages.values()):
        return plain
    return replace(plain, overrides=replace(plain.overrides, org=organisation or None))


def _inside(options: RunOptions, place: Path) -> Path:
    """Where the tree is in its repository: where it is in this one, if there is one here."""
    workspace = workspace_or_none(options)
    top = find_top(Path(workspace.root)) if workspace else None
    if workspace and top and (place / (found := Path(workspace.root).relative_to(top))).is_dir():
        return place / found
    return place


def _package(options: RunOptions, origin: Origin) -> str:
    workspace, _ = open_workspace(options)
    for name, package in workspace.packages.items():
        if package.repository == origin.package:
            return name
    raise SourceError(
        f"the tree of commit {origin.commit[:12]} has no package {origin.package}",
        details=(f"it has {', '.join(sorted(p.repository for p in workspace.packages.values()))}",),
    )


def _with_arguments(options: RunOptions, name: str, origin: Origin) -> RunOptions:
    """The options with which the package has the published tag: build arguments may have been given from outside."""
    own = open_tree(options, [name]).fingerprints[name]
    if own.reference.tag == origin.tag:
        return options
    given = tuple(BuildArg(k, v) for k, v in origin.arguments if own.build_args.get(k) != v)
    changed = replace(options, overrides=replace(options.overrides, build_args=given))
    other = open_tree(changed, [name]).fingerprints[name]
    if other.reference.tag == origin.tag:
        return changed
    raise CheckFailed(
        f"the tree of commit {origin.commit[:12]} gives {name} the tag {own.reference.tag}, not {origin.tag}",
        hint="it was built from other files, or tagged by hand",
    )
