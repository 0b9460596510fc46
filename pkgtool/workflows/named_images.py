"""From what people call an image to its manifests in the store: a package, one at a revision, a tag, a reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from pkgtool.cancel import Cancellation
from pkgtool.errors import PkgtoolError, RegistryError, StoreError, UsageError
from pkgtool.events import Sink
from pkgtool.oci.documents import Descriptor, Index, Manifest
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.transfer import copy
from pkgtool.oci.repository import Repository
from pkgtool.oci.store import Store
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.values import Digest, ImageRef, Platform
from pkgtool.workflows.history import fingerprints_at
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.registries import open_registry, registry_name
from pkgtool.workflows.sign import workspace_or_none
from pkgtool.workflows.tree import Tree, open_store, open_tree


@dataclass(frozen=True, slots=True)
class NamedImage:
    """What a name led to: the full reference, and an image for each platform, all of them in the store."""

    reference: str
    images: Mapping[Platform, Descriptor]


@dataclass(frozen=True, slots=True)
class PublishedImage:
    """What a registry has under a reference, copied into the store, and the repository that it is in."""

    repository: Repository
    image: NamedImage


class Finder:
    """Looks names up: in the store, then in the registry that the name or the tree says. Use it as a context manager.

    What only a registry has is copied into the store, without a reference: `pkgtool store gc` removes it again.
    """

    def __init__(self, options: RunOptions, *, events: Sink, cancel: Cancellation) -> None:
        self._options = options
        self._events = events
        self._cancel = cancel
        self._workspace = workspace_or_none(options)
        self.store = open_store(options, self._workspace)
        self._stack = ExitStack()
        self._registries: dict[str, Registry] = {}

    def __enter__(self) -> Self:
        self._stack.enter_context(self.store.in_use(cancel=self._cancel))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, name: str) -> NamedImage:
        """The images of `PKG`, `PKG@REVISION`, `PKG:TAG`, or a reference `[HOST/]REPOSITORY[:TAG][@DIGEST]`.

        Raises `UsageError` if it is none of these, `StoreError` or `RegistryError` if there is no such image.
        """
        reference = self._reference(name)
        wanted = reference.digest or reference.tag
        if not wanted:
            raise UsageError(f"{name!r} says no tag and no digest", hint=f"{name}:TAG, or a package of this tree")
        if not reference.host or reference.host == self._own_host():
            local = StoreRepository(self.store.layout, reference.name)
            found = _images(local, wanted)
            if found is not None and all(_whole(self.store, image) for image in found.values()):
                return NamedImage(str(reference), found)
        return self.published(reference, hint=_way_out(name, reference)).image

    # -- names ------------------------------------------------------------------------------------------

    def _reference(self, name: str) -> ImageRef:
        package, at, revision = name.partition("@")
        if self._workspace is not None and not revision.startswith("sha256:"):
            package, colon, tag = package.partition(":")
            tree = self._tree(package)
            if tree is not None:
                return self._of_package(tree, revision if at else "", tag if colon else "")
        try:
            return ImageRef.parse(name)
        except ValueError as problem:
            raise UsageError(f"{name!r} is neither a package nor a reference: {problem}") from problem

    def _tree(self, package: str) -> Tree | None:
        """The tree, if `package` is one of its packages."""
        try:
            return open_tree(self._options, [package]) if package else None
        except UsageError:
            return None

    def _of_package(self, tree: Tree, revision: str, tag: str) -> ImageRef:
        (name,) = tree.names
        fingerprints = tree.fingerprints
        if revision:
            _, fingerprints = fingerprints_at(self._options, tree, [name], revision)
            if name not in fingerprints:
                raise UsageError(f"there was no package {name} at {revision}", hint=f"git log -- {name}")
        reference = fingerprints[name].reference
        return ImageRef(reference.repository, tag or reference.tag, host=reference.host)

    def _own_host(self) -> str:
        return registry_name(self._options, self._workspace) if self._workspace else self._options.registry

    # -- registries -------------------------------------------------------------------------------------

    def published(self, reference: ImageRef, *, hint: str = "") -> PublishedImage:
        """What a registry has under a reference, whatever the store has: the one it names, else the tree's.

        Raises `UsageError` without a tag and digest, `StoreError` if no registry is named, `RegistryError` if there is
        no such image.
        """
        wanted = reference.digest or reference.tag
        if not wanted:
            raise UsageError(f"{reference} says no tag and no digest", hint=f"{reference}:TAG")
        host = reference.host or self._own_host()
        if not host:
            raise StoreError(f"{reference} is not in the store, and no registry is named", hint=hint or _TAGS_HINT)
        if host not in self._registries:
            opened = open_registry(host, self._workspace, self.store, events=self._events, cancel=self._cancel)
            self._registries[host] = self._stack.enter_context(opened)
        repository = self._registries[host].repository(reference.repository)
        found = _images(repository, wanted)
        if found is None:
            raise RegistryError(f"{reference} is not in {host}", hint=hint or _TAGS_HINT)
        target = StoreRepository(self.store.layout, reference.name)
        for image in found.values():
            if not _whole(self.store, image):
                copy(repository, target, image.digest)
        joint = "@" if isinstance(wanted, Digest) else ":"
        return PublishedImage(repository, NamedImage(f"{repository.name}{joint}{wanted}", found))


_TAGS_HINT = "is the tag right? 'pkgtool store ls' and 'pkgtool manifest' show what there is"


def _way_out(name: str, reference: ImageRef) -> str:
    """How to get the image that a name means, where that is known."""
    package, at, revision = name.partition("@")
    if at and not reference.digest:
        return f"git worktree add ../old {revision} && pkgtool -C ../old build {package}"
    return "" if at or ":" in package else f"pkgtool build {package}"


def _whole(store: Store, image: Descriptor) -> bool:
    try:
        return all(store.layout.has(blob) for blob in (image, *store.layout.manifest(image).blobs))
    except PkgtoolError:
        return False


def _images(repository: Repository, wanted: str | Digest) -> dict[Platform, Descriptor] | None:
    """The images of an index, or the one image that is there instead; None if there is nothing."""
    got = repository.get_manifest(wanted)
    if got is None:
        return None
    descriptor, content = got
    what = f"{repository.name}:{wanted}"
    if not descriptor.is_index:
        config = Manifest.parse(content, what=what).config
        return {_platform(repository.read_blob(config), what): descriptor}
    entries = Index.parse(content, what=what).manifests
    return {e.platform: e for e in entries if e.platform and e.platform.os != "unknown"}


def _platform(config: bytes, what: str) -> Platform:
    try:
        document = json.loads(config)
        parts = (document["os"], document["architecture"], document.get("variant", ""))
        return Platform.parse("/".join(filter(None, parts)))
    except (ValueError, KeyError, TypeError) as problem:
        raise StoreError(f"{what} is no container image: its configuration names no platform") from problem
