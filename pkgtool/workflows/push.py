"""Publish what the current tree's tags name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pkgtool.actions.registry import PullAction, PushAction
from pkgtool.cancel import Cancellation
from pkgtool.errors import SourceError, StoreError, UsageError
from pkgtool.events import Sink
from pkgtool.executor import Action
from pkgtool.model import Workspace
from pkgtool.plan import Plan, StepKind, plan_push
from pkgtool.workflows import kernels
from pkgtool.workflows.guard import pull_guard
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, Planned, carry_out, make_plan
from pkgtool.workflows.registries import open_registry, published_images, require_registry
from pkgtool.workflows.tree import Tree, target_platforms

if TYPE_CHECKING:
    from pkgtool.actions.site import Site
    from pkgtool.signing.attestor import Attestor
    from pkgtool.workflows.attestors import SigningOptions


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What is particular to pushing. `replace` names tags whose published content may be replaced.

    Without `index`, images go out under the tags of their platforms alone, and only they are signed: that is for one of
    several jobs, after which another push makes the index.
    """

    no_build: bool = False
    rebuild: bool = False
    """Whether the named packages are built anew; what is published under their tags stays protected all the same."""
    allow_dirty: bool = False
    index: bool = True
    replace: tuple[str, ...] = ()
    sign: SigningOptions | None = None
    """How to sign what was published; None: not at all."""
    allow_development: bool = False
    """Whether a kernel whose modules are signed by a development key may be signed and published."""


def plan_of(options: RunOptions, push_options: PushOptions, packages: Sequence[str]) -> tuple[Planned, str]:
    """The plan of a push as far as the store decides, and the registry's name; nothing is done.

    Raises `SourceError` for dirty packages, before anything else happens.
    """
    planned = make_plan(
        options,
        packages,
        rebuild=push_options.rebuild,
        platforms=lambda tree: target_platforms(options, tree.workspace, all_by_default=True),
    )
    tree = planned.tree
    if not push_options.allow_dirty:
        refuse_dirty(tree)
    _check_replace(tree, push_options.replace)
    if push_options.sign and not push_options.allow_development:
        kernels.refuse_development(tree.package(name) for name in tree.names)
    name = require_registry(options, tree.workspace, [tree.fingerprints[n] for n in tree.names])
    return planned, name


def push(
    options: RunOptions,
    push_options: PushOptions,
    packages: Sequence[str],
    *,
    events: Sink,
    cancel: Cancellation,
) -> BuildReport:
    """Build what is missing and publish it: images, then indexes, tags last. Failures of steps are in the report.

    Raises `SourceError` for dirty packages before anything is built, `StoreError` with `no_build` for what is not
    in the store.
    """
    planned, name = plan_of(options, push_options, packages)
    tree = planned.tree
    with ExitStack() as stack:
        # Before anything is built: a key that can't be used must not be found out after an hour.
        signing = push_options.sign
        attestor = stack.enter_context(closing(_attestor(signing, tree.workspace))) if signing else None
        registry = stack.enter_context(open_registry(name, tree.workspace, planned.store, events=events, cancel=cancel))
        if options.pull:
            found = published_images(planned.plan, registry, tree.fingerprints, optional=False, events=events)
            planned = planned.again(published=found) if found else planned
        if push_options.no_build:
            _refuse_builds(planned.plan)
        plan = plan_push(planned.plan, tree.names, tree.fingerprints, name, sign=attestor is not None)

        def actions(site: Site) -> Mapping[StepKind, Action]:
            replaceable = frozenset(push_options.replace)
            platforms = planned.target.platforms
            found: dict[StepKind, Action] = {
                StepKind.PUSH: PushAction(site, registry, platforms, replaceable, index=push_options.index)
            }
            if any(step.kind is StepKind.PULL for step in plan.to_do()):
                found[StepKind.PULL] = PullAction(site, registry, pull_guard(tree.workspace, registry))
            if attestor and signing:
                from pkgtool.actions.sign import SignAction

                found[StepKind.SIGN] = SignAction(
                    site,
                    registry,
                    attestor,
                    signing.annotations,
                    alone=() if push_options.index else platforms,
                )
            return found

        return carry_out(replace(planned, plan=plan), options, actions=actions, events=events, cancel=cancel)


def _attestor(signing: SigningOptions, workspace: Workspace) -> Attestor:
    # Only who signs waits for all of that.
    from pkgtool.workflows.attestors import open_attestor

    return open_attestor(signing, workspace)


def refuse_dirty(tree: Tree) -> None:
    """Raises `SourceError` if a package that was asked for is dirty, or stands on one that is."""
    dirty = [name for name in tree.names if tree.fingerprints[name].dirty]
    if dirty:
        raise SourceError(
            f"not committed, so not to be published: {', '.join(dirty)}",
            hint=f"'pkgtool why {dirty[0]}' says what is; commit it, or publish under dirty tags with --allow-dirty",
        )


def _check_replace(tree: Tree, tags: Sequence[str]) -> None:
    """Raises `UsageError` for a tag that nothing would be pushed to: it protects nobody to ignore a slip of the pen."""
    known = {tree.fingerprints[name].reference.tag for name in tree.names}
    for tag in tags:
        if tag not in known:
            raise UsageError(f"--replace {tag}: no package that would be pushed has this tag", hint="pkgtool show-tag")


def _refuse_builds(plan: Plan) -> None:
    missing = [step.title for step in plan.to_do() if step.kind is StepKind.BUILD]
    if missing:
        raise StoreError(
            f"not built, and --no-build forbids it: {', '.join(missing)}", hint=f"pkgtool build {missing[0].split()[0]}"
        )
