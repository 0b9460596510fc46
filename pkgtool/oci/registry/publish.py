"""The rules of publishing: a published tag is immutable, and platforms from different machines meet in one index.

Every image goes out under a tag of its own first, `TAG-ARCH` as LinuxKit names them, and the index at `TAG` is a
function of those: all of them, in the order of their names. Registries offer no compare-and-swap, so an index can
be overwritten by a pusher who read it earlier. Nothing is lost all the same: each pusher writes its platform tags
before it reads those of the others, and looks again after writing, until the index is what the platform tags say.
Whoever writes the index last has then seen every platform tag that was there, and a platform tag written later has
a pusher who still has to look at the index.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import Interrupted, RegistryError
from pkgtool.oci import locks
from pkgtool.oci.documents import Descriptor, Index
from pkgtool.oci.registry.errors import TagConflict
from pkgtool.oci.registry.transfer import CopyOptions, copy, in_parallel
from pkgtool.oci.repository import Repository, Target
from pkgtool.values import Digest, Platform

_ROUNDS = 60
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0


class Outcome(StrEnum):
    """What publishing a tag came to."""

    UNCHANGED = "unchanged"
    CREATED = "created"
    MERGED = "merged"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Publication:
    """What shall stand under `tag`: the image manifests of one or more platforms, which `source` holds.

    `platforms` are all that the package is for: those that another machine may be pushing now. `replace` allows
    other content under a published tag. `state` is a directory for locks between processes of this machine.
    """

    tag: str
    images: Mapping[Platform, Descriptor]
    platforms: tuple[Platform, ...] = ()
    replace: bool = False
    state: Path | None = None
    options: CopyOptions = field(default_factory=CopyOptions)

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError(f"nothing to publish under {self.tag}")


@dataclass(frozen=True, slots=True)
class Published:
    """The index that stands under the tag now, if one was asked for, and the bytes of blobs that had to be sent.

    `replaced` are the images that stood there before with other content, and were allowed to be replaced.
    """

    index: Descriptor | None
    images: Mapping[Platform, Descriptor]
    outcome: Outcome
    sent: int = 0
    replaced: Mapping[Platform, Descriptor] = field(default_factory=dict)


def publish(
    source: Repository, target: Target, publication: Publication, *, cancel: Cancellation | None = None
) -> Published:
    """Publish images under a tag, and merge them with the platforms that are published already.

    A tag that is already right costs one request, and one more for each platform that is not ours. Raises
    `TagConflict` before anything is sent if a platform is published with another digest.
    """
    ours = index_of(publication.images)
    found = target.resolve(publication.tag)
    if found and found.digest == ours.digest and not _missing_siblings(target, publication):
        return Published(found, publication.images, Outcome.UNCHANGED)
    token = cancel or Cancellation()
    with _alone(target, publication, token):
        before = read_index(target, publication.tag)
        replaced = _conflicts(target, publication, before.images)
        if not publication.replace:
            _refuse(target, publication, replaced)
        sent = _push_images(source, target, publication)
        after = _settle(target, publication, token)
    assert after.descriptor is not None
    outcome = Outcome.REPLACED if replaced else _outcome(before.images, after.images)
    return Published(after.descriptor, after.images, outcome, sent, replaced)


def publish_images(
    source: Repository, target: Target, publication: Publication, *, cancel: Cancellation | None = None
) -> Published:
    """Publish images under the tags of their platforms alone: who publishes the tag itself later finds them there.

    Raises `TagConflict` before anything is sent if a platform is published with another digest.
    """
    if _digests(_platform_tags(target, publication, publication.images)) == _digests(publication.images):
        return Published(None, publication.images, Outcome.UNCHANGED)
    with _alone(target, publication, cancel or Cancellation()):
        replaced = _conflicts(target, publication, read_index(target, publication.tag).images)
        if not publication.replace:
            _refuse(target, publication, replaced)
        sent = _push_images(source, target, publication)
    return Published(None, publication.images, Outcome.REPLACED if replaced else Outcome.CREATED, sent, replaced)


def _push_images(source: Repository, target: Target, publication: Publication) -> int:
    """Every image under its platform's tag; the bytes that had to be sent."""

    def push(platform: Platform) -> int:
        image, tag = publication.images[platform], f"{publication.tag}-{platform.suffix}"
        return copy(source, target, image.digest, tags=(tag,), options=publication.options).sent

    return sum(in_parallel(push, sorted(publication.images), publication.options.parallel))


def index_of(images: Mapping[Platform, Descriptor]) -> Descriptor:
    """The descriptor of the canonical index of these images."""
    index = _canonical(images)
    return Descriptor.of(index.encode(), index.media_type)


def _canonical(images: Mapping[Platform, Descriptor]) -> Index:
    return Index.of_platforms(
        [Descriptor(image.media_type, image.digest, image.size, platform) for platform, image in images.items()]
    )


def _outcome(before: Mapping[Platform, Descriptor], after: Mapping[Platform, Descriptor]) -> Outcome:
    if not before:
        return Outcome.CREATED
    return Outcome.MERGED if len(after) > len(before) else Outcome.UNCHANGED


# -- reading what is published ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublishedIndex:
    """What stands under a tag: nothing (no descriptor), or an index with an image per platform."""

    descriptor: Descriptor | None = None
    images: Mapping[Platform, Descriptor] = field(default_factory=dict)


def read_index(target: Repository, tag: str | Digest) -> PublishedIndex:
    """The images published under a tag, or in the index with a digest.

    Raises `RegistryError` if it is something else than an index of platforms.
    """
    found = target.get_manifest(tag)
    if found is None:
        return PublishedIndex()
    descriptor, content = found
    what = f"{target.name}:{tag}"
    if not descriptor.is_index:
        raise RegistryError(
            f"{what} is a single image, not an index of platforms",
            hint="choose another tag, or remove that one: it was not published by pkgtool",
        )
    entries = Index.parse(content, what=what, error=RegistryError).manifests
    if any(entry.platform is None for entry in entries):
        raise RegistryError(
            f"{what} holds entries without a platform, which another tool made",
            hint="publish under another tag; an index like that can't be merged with",
        )
    return PublishedIndex(descriptor, {entry.platform: entry for entry in entries if entry.platform})


def _platform_tags(
    target: Repository, publication: Publication, platforms: Iterable[Platform]
) -> dict[Platform, Descriptor]:
    """What the tags of single platforms point at."""
    ordered = sorted(platforms)
    found = in_parallel(
        lambda platform: target.resolve(f"{publication.tag}-{platform.suffix}"), ordered, publication.options.parallel
    )
    return {platform: image for platform, image in zip(ordered, found, strict=True) if image}


def _missing_siblings(target: Repository, publication: Publication) -> bool:
    """Whether a platform is published that the index does not have: its pusher is not done, or was killed."""
    return bool(_platform_tags(target, publication, set(publication.platforms) - set(publication.images)))


def _conflicts(
    target: Repository, publication: Publication, index: Mapping[Platform, Descriptor]
) -> dict[Platform, Descriptor]:
    """What is published for our platforms and is not ours: in the index, or under a platform's tag."""
    tags = _platform_tags(target, publication, publication.images)
    return {
        platform: place
        for platform, image in publication.images.items()
        for place in (tags.get(platform), index.get(platform))
        if place and place.digest != image.digest
    }


def _refuse(target: Repository, publication: Publication, published: Mapping[Platform, Descriptor]) -> None:
    """Raises `TagConflict` for the first platform that is published with other content than ours."""
    for platform, image in sorted(published.items()):
        raise TagConflict(
            f"{target.name}:{publication.tag}",
            published=image.digest,
            ours=publication.images[platform].digest,
            what=str(platform),
        )


# -- the index ----------------------------------------------------------------------------------------------


def _settle(target: Target, publication: Publication, cancel: Cancellation) -> PublishedIndex:
    """Write the index until it is what the platform tags say."""
    wait = _FIRST_WAIT
    for _ in range(_ROUNDS):
        index = read_index(target, publication.tag)
        known = {*index.images, *publication.images, *publication.platforms}
        # A tag that was just written need not be visible yet: then it counts as what was written.
        images = {**publication.images, **index.images, **_platform_tags(target, publication, known)}
        _check_ours(target, publication, images)
        if _digests(index.images) == _digests(images):
            return index
        wanted = _canonical(images)
        target.put_manifest(wanted.encode(), wanted.media_type, tag=publication.tag)
        if index.descriptor and cancel.wait(random.uniform(0, wait)):  # noqa: S311
            raise Interrupted()
        wait = min(wait * 1.5, _LONGEST_WAIT)
    raise RegistryError(
        f"others keep changing {target.name}:{publication.tag}",
        hint="every platform is published under its own tag; run the same command again when the others are done",
    )


def _digests(images: Mapping[Platform, Descriptor]) -> dict[Platform, Digest]:
    return {platform: image.digest for platform, image in images.items()}


def _check_ours(target: Repository, publication: Publication, images: Mapping[Platform, Descriptor]) -> None:
    """Two pushers of different content for one platform: whoever finds the other's says so."""
    others = {p: images[p] for p, image in publication.images.items() if images[p].digest != image.digest}
    _refuse(target, publication, others)


@contextmanager
def _alone(target: Repository, publication: Publication, cancel: Cancellation) -> Iterator[None]:
    """One pusher of a tag at a time on this machine: it spares rounds, correctness does not rest on it."""
    if publication.state is None:
        yield
        return
    key = hashlib.sha256(f"{target.name}:{publication.tag}".encode()).hexdigest()[:32]
    with locks.held(publication.state / "locks" / f"publish-{key}", cancel=cancel):
        yield
