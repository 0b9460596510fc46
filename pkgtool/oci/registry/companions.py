"""What belongs to an image: its referrers, and the classic `sha256-HEX.sig`, `.att`, `.sbom` tags. Both are kept.

Other tools carry one kind and lose the other when they copy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pkgtool.errors import RegistryError
from pkgtool.oci.documents import CONFIG, Descriptor, Manifest, encode
from pkgtool.oci.registry.transfer import DEFAULT_OPTIONS, CopyOptions, Node, copy, in_parallel, put_tree, read_tree
from pkgtool.oci.repository import Repository, Target
from pkgtool.values import Digest

_MAX_CHAIN = 4
"""Signatures of attestations of signatures…"""


@dataclass(frozen=True, slots=True)
class CompanionsCopied:
    """How many were new at the target."""

    referrers: int = 0
    tags: int = 0


def digests_of(tree: Node) -> list[Digest]:
    """The digests that signatures may be about: the index's and each platform's."""
    return [tree.descriptor.digest, *(digest for child in tree.children for digest in digests_of(child))]


def copy_companions(
    source: Repository,
    target: Target,
    digest: Digest,
    *,
    options: CopyOptions = DEFAULT_OPTIONS,
) -> CompanionsCopied:
    """Copy all that belongs to an index or manifest and those below it; what is there stays, and is merged with."""
    subjects = digests_of(read_tree(source, digest))
    wanted = {f"{subject.algorithm}-{subject.hex}." for subject in subjects}
    # The tag without an ending is a registry's list of referrers, which are copied one by one.
    tags = [tag for tag in source.tags() if tag[: tag.find(".") + 1] in wanted]
    attached = in_parallel(lambda d: _copy_referrers(source, target, d, options, 0), subjects, options.parallel)
    tagged = in_parallel(lambda tag: _copy_tag(source, target, tag, options), tags, options.parallel)
    return CompanionsCopied(sum(attached), sum(tagged))


def copy_with_companions(
    source: Repository,
    target: Target,
    reference: str | Digest,
    *,
    tags: Sequence[str] = (),
    options: CopyOptions = DEFAULT_OPTIONS,
) -> tuple[Descriptor, CompanionsCopied]:
    """Copy an image and what belongs to it; its tags come last, so that what can be pulled can be verified."""
    found = source.resolve(reference)
    if found is None:
        raise RegistryError(f"{source.name} has no {reference}")
    copy(source, target, found.digest, options=options)
    companions = copy_companions(source, target, found.digest, options=options)
    if tags:
        copy(source, target, found.digest, tags=tags, options=options)
    return found, companions


def _copy_referrers(source: Repository, target: Target, subject: Digest, options: CopyOptions, depth: int) -> int:
    ours = source.referrers(subject)
    if not ours or depth >= _MAX_CHAIN:
        return 0
    theirs = {descriptor.digest for descriptor in target.referrers(subject)}
    count = 0
    for descriptor in ours:
        if descriptor.digest not in theirs:
            _copy_referrer(source, target, descriptor)
            count += 1
        count += _copy_referrers(source, target, descriptor.digest, options, depth + 1)
    return count


def _copy_referrer(source: Repository, target: Target, descriptor: Descriptor) -> None:
    found = source.get_manifest(descriptor.digest)
    if found is None:
        raise RegistryError(f"{source.name} lists the referrer {descriptor.digest} and does not have it")
    resolved, content = found
    for blob in Manifest.parse(content, what=f"referrer {resolved.digest}", error=RegistryError).blobs:
        target.take_blob(blob, source)
    target.put_referrer(content, resolved.media_type)


def _copy_tag(source: Repository, target: Target, tag: str, options: CopyOptions) -> int:
    ours = source.get_manifest(tag)
    if ours is None:  # removed since the tags were listed
        return 0
    theirs = target.get_manifest(tag)
    if theirs is None:
        copy(source, target, ours[0].digest, tags=(tag,), options=options)
        return 1
    if theirs[0].digest == ours[0].digest:
        return 0
    return _merge_tag(source, target, tag, ours, theirs)


def _merge_tag(
    source: Repository, target: Target, tag: str, ours: tuple[Descriptor, bytes], theirs: tuple[Descriptor, bytes]
) -> int:
    """Both sides were signed on their own: keep their layers and add ours, as a further signer would have."""
    what = f"tag {tag}"
    new = Manifest.parse(ours[1], what=what, error=RegistryError)
    old = Manifest.parse(theirs[1], what=what, error=RegistryError)
    known = {(layer.digest, tuple(sorted(layer.annotations.items()))) for layer in old.layers}
    added = [layer for layer in new.layers if (layer.digest, tuple(sorted(layer.annotations.items()))) not in known]
    if not added:
        return 0
    put_tree(source, target, Node(ours[0], ours[1], blobs=new.blobs))
    layers = (*old.layers, *added)
    document = json.loads(target.read_blob(old.config))
    document["rootfs"] = {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}
    document["history"] = [{"created": "0001-01-01T00:00:00Z"} for _ in layers]
    config = target.write_blob(encode(document), old.config.media_type or CONFIG)
    merged = Manifest(config, layers, old.media_type, old.artifact_type, old.subject, old.annotations)
    target.put_manifest(merged.encode(), merged.media_type, tag=tag)
    return 1
