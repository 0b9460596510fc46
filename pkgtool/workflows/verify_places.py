"""Where the images lie that are to be verified: in registries, or in the archive of an exported release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import UsageError
from pkgtool.events import Sink
from pkgtool.model import Workspace
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.repository import Repository
from pkgtool.oci.store import Layout
from pkgtool.oci.store.archive import imported
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.release import Release
from pkgtool.values import ImageRef
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.promote import stored_release
from pkgtool.workflows.registries import open_registry, require_registry

Place = Callable[[str], Repository]


@contextmanager
def places(
    options: RunOptions,
    workspace: Workspace | None,
    *,
    archive: Path | None = None,
    release: Path | None = None,
    events: Sink,
    cancel: Cancellation,
) -> Iterator[Place]:
    """From a name to its repository: in an exported archive, or in registries that are opened as they are named.

    A release file says in which registry its packages are, where nothing else does.
    """
    if archive:
        with imported(archive) as layout:
            registry = options.registry or _released(archive, release, layout).registry
            yield lambda name: _Archived(layout, name.removeprefix(f"{registry}/"), registry)
        return
    with ExitStack() as stack:
        registries: dict[str, Registry] = {}
        named: list[ImageRef] = []

        def repository(name: str) -> Repository:
            reference = ImageRef.parse(name)
            if reference.host:
                named.append(reference)
            beside = named[0] if named else None
            address = reference.host or _default_registry(options, workspace, beside, release)
            if address not in registries:
                opened = open_registry(address, workspace, None, events=events, cancel=cancel)
                registries[address] = stack.enter_context(opened)
            return registries[address].repository(reference.repository)

        yield repository


class _Archived(StoreRepository):
    """A repository of an archive, under the name that it had in the registry: policies are about that."""

    def __init__(self, layout: Layout, name: str, registry: str) -> None:
        super().__init__(layout, name)
        self._registry = registry

    @property
    def name(self) -> str:
        return f"{self._registry}/{super().name}"


def _released(archive: Path, release: Path | None, layout: Layout) -> Release:
    return Release.read(release) if release else stored_release(layout, archive)


def _default_registry(
    options: RunOptions, workspace: Workspace | None, beside: ImageRef | None, release: Path | None
) -> str:
    if options.registry:
        return options.registry
    if beside is not None:
        # What an image was built from lies beside it: below the same prefix of the same registry.
        prefix = "/".join(beside.repository.split("/")[:-2])
        return f"{beside.host}/{prefix}" if prefix else beside.host
    if release:
        return Release.read(release).registry
    if workspace is None:
        raise UsageError("no registry is named", hint="--registry HOST[:PORT][/PREFIX]")
    return require_registry(options, workspace)


def dependency(name: str, place: Place) -> Repository | None:
    """The repository of an image that another one was built from; None if its name leads nowhere."""
    try:
        return place(ImageRef.parse(name).name)
    except (ValueError, UsageError):
        return None
