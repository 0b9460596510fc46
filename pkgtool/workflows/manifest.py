"""What is published of packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkgtool.cancel import Cancellation
from pkgtool.events import Sink
from pkgtool.oci.registry.describe import PublishedPackage, describe_published
from pkgtool.oci.registry.transfer import in_parallel
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.registries import open_registry, require_registry
from pkgtool.workflows.tree import open_store, open_tree


@dataclass(frozen=True, slots=True)
class TagContent:
    """What stands under a package's tag: nothing, or an index with its images."""

    package: str
    reference: str
    published: PublishedPackage | None


def manifests(
    options: RunOptions, packages: Sequence[str], *, tag: str = "", events: Sink, cancel: Cancellation
) -> list[TagContent]:
    """What the registry has under the current tags of packages (or under `tag`).

    Raises `RegistryError` if it can't answer.
    """
    tree = open_tree(options, packages)
    name = require_registry(options, tree.workspace, [tree.fingerprints[n] for n in tree.names])
    store = open_store(options, tree.workspace)
    with open_registry(name, tree.workspace, store, events=events, cancel=cancel) as registry:

        def look(package: str) -> TagContent:
            reference = tree.fingerprints[package].reference
            repository = registry.repository(reference.repository)
            wanted = tag or reference.tag
            return TagContent(package, f"{repository.name}:{wanted}", describe_published(repository, wanted))

        return in_parallel(look, tree.names, registry.settings.parallel)
