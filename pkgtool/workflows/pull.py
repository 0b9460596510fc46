"""Take images from the registry instead of building them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from pkgtool.actions.site import Site
from pkgtool.cancel import Cancellation
from pkgtool.errors import RegistryError
from pkgtool.events import Sink
from pkgtool.executor import Action
from pkgtool.plan import StepKind
from pkgtool.workflows.guard import pull_guard
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, Planned, carry_out, make_plan
from pkgtool.workflows.registries import open_registry, published_images, registry_name, require_registry
from pkgtool.workflows.tree import target_platforms

Actions = Callable[[Site], Mapping[StepKind, Action]]


@contextmanager
def consult_registry(
    planned: Planned, options: RunOptions, *, offline: bool = False, events: Sink, cancel: Cancellation
) -> Iterator[tuple[Planned, Actions | None]]:
    """The plan after the registry, if one is named, was asked for what would have to be built; and how to pull.

    A registry that can't answer is an error, or with `options.registry_optional` a warning: never "not there".
    """
    tree = planned.tree
    name = registry_name(options, tree.workspace, [tree.fingerprints[n] for n in tree.names])
    nothing_to_build = not any(step.kind is StepKind.BUILD for step in planned.plan.to_do())
    if not name or not options.pull or offline or nothing_to_build:
        yield planned, None
        return
    from pkgtool.actions.registry import PullAction

    with open_registry(name, tree.workspace, planned.store, events=events, cancel=cancel) as registry:
        found = published_images(
            planned.plan, registry, tree.fingerprints, optional=options.registry_optional, events=events
        )
        guard = pull_guard(tree.workspace, registry) if found else None
        yield planned.again(published=found), lambda site: {StepKind.PULL: PullAction(site, registry, guard)}


def failed_pull(report: BuildReport) -> RegistryError | None:
    """Why an image could not be pulled, if the registry is to blame: what a policy refused is another matter."""
    for step in report.plan.steps:
        error = report.results.by_step[step.id].error
        if step.kind is StepKind.PULL and isinstance(error, RegistryError):
            return error
    return None


def pull(options: RunOptions, packages: Sequence[str], *, events: Sink, cancel: Cancellation) -> BuildReport:
    """Bring what the registry has under the current tags into the store, for all of the tree's platforms.

    Raises `RegistryError` if an image is not published, or the registry can't answer.
    """
    planned = make_plan(
        options,
        packages,
        platforms=lambda tree: target_platforms(options, tree.workspace, all_by_default=True),
    )
    fingerprints = planned.tree.fingerprints
    require_registry(options, planned.tree.workspace, [fingerprints[name] for name in planned.tree.names])
    with consult_registry(planned, options, events=events, cancel=cancel) as (final, actions):
        missing = [step.title for step in final.plan.to_do() if step.kind is StepKind.BUILD]
        if missing:
            raise RegistryError(
                f"the registry has nothing under the tags of {', '.join(missing)}", hint="pkgtool push publishes them"
            )
        return carry_out(final, options, actions=actions, events=events, cancel=cancel)
