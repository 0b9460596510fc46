"""Which registry a tree's packages live in, and what it has of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pkgtool.cancel import Cancellation
from pkgtool.errors import RegistryError, UsageError
from pkgtool.events import Note, Sink
from pkgtool.fingerprint import Fingerprint
from pkgtool.model import Workspace
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from pkgtool.oci.store import Store
from pkgtool.plan import Plan, StepKind
from pkgtool.workflows.options import RunOptions

if TYPE_CHECKING:
    from pkgtool.oci.registry.point import Pointed

_AT_ONCE = 16


def registry_name(options: RunOptions, workspace: Workspace, fingerprints: Iterable[Fingerprint] = ()) -> str:
    """The registry to use: the command line, pkgtool.yml, or the host that the packages' organisation names.

    Empty if none of them says one.
    """
    hosts = {fingerprint.reference.host for fingerprint in fingerprints}
    return options.registry or workspace.settings.registry or (hosts.pop() if len(hosts) == 1 else "")


def require_registry(options: RunOptions, workspace: Workspace, fingerprints: Iterable[Fingerprint] = ()) -> str:
    """The registry to use. Raises `UsageError` if none is named."""
    name = registry_name(options, workspace, fingerprints)
    if not name:
        raise UsageError(
            "no registry is named",
            hint="--registry HOST[:PORT][/PREFIX], or 'registry: …' in pkgtool.yml",
        )
    return name


def open_registry(
    name: str, workspace: Workspace | None, store: Store | None, *, events: Sink, cancel: Cancellation
) -> Registry:
    """A registry as this tree speaks to it. Nothing is sent yet; close it after use."""
    insecure = frozenset(workspace.settings.insecure_registries) if workspace else frozenset()
    settings = RegistrySettings(insecure=insecure, state=store.private if store else None)
    return Registry(name, settings, cancel=cancel, sink=events)


def tell_replaced(pointed: Pointed, events: Sink) -> None:
    """Say which published tags were given other content."""
    for name, before, now in pointed.replaced:
        events(Note("warning", f"replaced what was published as {name}: was {before}, is {now}"))


def published_images(
    plan: Plan,
    registry: Registry,
    fingerprints: Mapping[str, Fingerprint],
    *,
    optional: bool,
    events: Sink,
) -> dict[str, Descriptor]:
    """Which of the images that a plan would build the registry has, by the keys of their steps.

    Raises `RegistryError` if it can't answer; with `optional` that is a warning, and nothing counts as there.
    """
    builds = [s for s in plan.to_do() if s.kind is StepKind.BUILD and not fingerprints[s.package].dirty]
    if not builds:
        return {}

    def ask(position: int) -> Descriptor | None:
        step = builds[position]
        assert step.reference is not None
        return registry.repository(step.reference.repository).resolve(step.reference.tag)

    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(ask, range(len(builds))))
    except RegistryError as problem:
        if not optional:
            raise
        events(Note("warning", f"{problem.message}; building what could have been pulled"))
        return {}
    return {step.key: found for step, found in zip(builds, answers, strict=True) if found}
