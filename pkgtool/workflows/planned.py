"""Planning, and carrying a plan out: what build, push, pull and reproduce have in common."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.cancel import Cancellation
from pkgtool.errors import UsageError
from pkgtool.events import Event, Note, Sink
from pkgtool.executor import Action, Results, run
from pkgtool.oci.store import Store
from pkgtool.plan import Plan, Snapshot, StepKind, Target, plan_build
from pkgtool.plan.planner import keys_of_interest
from pkgtool.values import Platform
from pkgtool.workflows import engines, kernels
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import Tree, build_platform, open_store, open_tree, target_platforms

if TYPE_CHECKING:
    from pkgtool.actions.site import Site
    from pkgtool.engines.interface import Engine

_MAKES = frozenset((StepKind.FETCH, StepKind.BUILD, StepKind.ASSEMBLE))
"""Steps of which each run may have none: then nothing of what they need is loaded."""
_TRANSFERS = 8
"""How many packages are pulled, pushed or signed at a time, unless `--jobs` says it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with all that it was made from."""

    tree: Tree
    plan: Plan
    store: Store
    target: Target
    snapshot: Snapshot

    def again(self, **news: object) -> Planned:
        """The plan after something about the snapshot became known."""
        snapshot = replace(self.snapshot, **news)  # type: ignore[arg-type]
        plan = plan_build(self.tree.workspace.packages, self.tree.fingerprints, self.target, snapshot)
        return replace(self, plan=plan, snapshot=snapshot)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What was planned and what became of it. `notes` say which nodes were lost on the way."""

    tree: Tree
    plan: Plan
    results: Results
    store: Store
    notes: tuple[str, ...] = ()


def make_plan(
    options: RunOptions,
    packages: Sequence[str],
    *,
    rebuild: bool = False,
    platforms: Callable[[Tree], tuple[Platform, ...]] | None = None,
) -> Planned:
    """The plan that `build` would carry out, as far as the store alone decides; nothing is done."""
    if options.revision != "HEAD":
        raise UsageError("only what is checked out can be built", hint="--hash-commit is for show-tag")
    tree = open_tree(options, packages)
    store = open_store(options, tree.workspace)
    target = Target(
        names=tree.names,
        platforms=platforms(tree) if platforms else target_platforms(options, tree.workspace),
        build_platform=build_platform(),
        rebuild=_anew(tree) if rebuild else frozenset(),
    )
    keys = keys_of_interest(tree.workspace.packages, tree.fingerprints, target)
    snapshot = Snapshot(
        remembered=store.remembered(keys), references=store.layout.references(), timings=store.timings()
    )
    plan = plan_build(tree.workspace.packages, tree.fingerprints, target, snapshot)
    return Planned(tree, plan, store, target, snapshot)


def _anew(tree: Tree) -> frozenset[str]:
    """What is built anew: for a signed kernel the unsigned one too, or only its signatures would be made again."""
    seals = (tree.package(name).seal for name in tree.names)
    return frozenset((*tree.names, *(seal.unsigned for seal in seals if seal)))


def carry_out(
    planned: Planned,
    options: RunOptions,
    *,
    actions: Callable[[Site], Mapping[StepKind, Action]] | None = None,
    offline: bool = False,
    connect: Callable[[], Engine] | None = None,
    events: Sink,
    cancel: Cancellation,
) -> BuildReport:
    """Do what a plan says. `actions` brings further kinds of steps; `connect` is called only if something is built."""
    tree, plan, store = planned.tree, planned.plan, planned.store
    for step in plan.steps:
        if step.done and step.key:
            store.memo.touch(step.key)
    if plan.is_empty:
        return BuildReport(tree, plan, run(plan, {}, jobs=1, events=events, cancel=cancel), store)
    # Only here, so that a run with nothing to do, which is the most frequent one, does not wait for it.
    from pkgtool.actions.site import Site

    makes = [step for step in plan.to_do() if step.kind in _MAKES]
    building = {step.package for step in makes if step.kind is StepKind.BUILD}
    root, packages = Path(tree.workspace.root), [tree.package(name) for name in building]
    sealing = kernels.sealing(options, root, tree.workspace.settings, packages)
    nodes = engines.chosen_nodes(options, tree.workspace)
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.message)
        events(event)

    site = Site(
        workspace=tree.workspace,
        fingerprints=tree.fingerprints,
        sources=tree.sources,
        store=store,
        build_platform=planned.target.build_platform,
        connect=connect
        or engines.connect(options, tree.workspace, store, planned.target.build_platform, events=listen),
        events=events,
        rebuild=planned.target.rebuild,
        sealing=sealing,
        repeat=lambda package: options.command("build", root, asked=package in tree.names),
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(store.in_use(cancel=cancel))
        known = stack.enter_context(_making(site, plan, building, offline, cancel)) if makes else {}
        stack.enter_context(contextlib.closing(site))
        jobs = engines.job_count(options, nodes)
        results = run(
            plan,
            {**known, **(actions(site) if actions else {})},
            jobs=jobs,
            transfers=options.jobs or max(jobs, _TRANSFERS),
            keep_going=options.keep_going,
            events=events,
            cancel=cancel,
        )
    return BuildReport(tree, plan, results, store, tuple(notes))


@contextlib.contextmanager
def _making(
    site: Site, plan: Plan, building: Iterable[str], offline: bool, cancel: Cancellation
) -> Iterator[Mapping[StepKind, Action]]:
    """What fetches inputs, builds and assembles."""
    from pkgtool.actions.assemble import AssembleAction
    from pkgtool.actions.build import BuildAction
    from pkgtool.actions.inputs import FetchAction, InputAccess
    from pkgtool.inputs.go_source import GoProxies
    from pkgtool.workflows.locks import make_fetcher, read_locks

    locks = read_locks(site.workspace, building)
    fetcher = make_fetcher(site.store, site.workspace, offline=offline, events=site.events, cancel=cancel)
    with fetcher:
        inputs = InputAccess(locks, fetcher, site.workspace.settings, GoProxies.of(os.environ))
        yield {
            StepKind.FETCH: FetchAction(site, inputs, plan),
            StepKind.BUILD: BuildAction(site, inputs),
            StepKind.ASSEMBLE: AssembleAction(site),
        }
