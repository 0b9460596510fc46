"""Plan and build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkgtool.actions.assemble import AssembleAction
from pkgtool.actions.build import BuildAction
from pkgtool.actions.site import Site
from pkgtool.cancel import Cancellation
from pkgtool.engines.interface import Engine
from pkgtool.errors import UsageError
from pkgtool.events import Sink
from pkgtool.executor import Action, Results, run
from pkgtool.oci.store import Store
from pkgtool.plan import Plan, Snapshot, StepKind, Target, plan_build
from pkgtool.plan.planner import keys_of_interest
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import Tree, build_platform, open_store, open_tree, target_platforms


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What was planned and what became of it."""

    tree: Tree
    plan: Plan
    results: Results
    store: Store


def make_plan(options: RunOptions, packages: Sequence[str], *, rebuild: bool = False) -> tuple[Tree, Plan, Store]:
    """The plan that `build` would carry out; nothing is done."""
    tree = open_tree(options, packages)
    store = open_store(options, tree.workspace)
    target = Target(
        names=tree.names,
        platforms=target_platforms(options, tree.workspace),
        build_platform=build_platform(),
        rebuild=frozenset(tree.names) if rebuild else frozenset(),
    )
    keys = keys_of_interest(tree.workspace.packages, tree.fingerprints, target)
    snapshot = Snapshot(store.remembered(keys), store.layout.references(), store.timings())
    return tree, plan_build(tree.workspace.packages, tree.fingerprints, target, snapshot), store


def build(
    options: RunOptions, packages: Sequence[str], *, rebuild: bool = False, events: Sink, cancel: Cancellation
) -> BuildReport:
    """Build packages and what they depend on, skipping what exists. Failures of steps are in the report."""
    if options.revision != "HEAD":
        raise UsageError("only what is checked out can be built", hint="--hash-commit is for show-tag")
    tree, plan, store = make_plan(options, packages, rebuild=rebuild)
    for step in plan.steps:
        if step.done and step.key:
            store.memo.touch(step.key)
    if plan.is_empty:
        return BuildReport(tree, plan, run(plan, {}, jobs=1, events=events, cancel=cancel), store)
    with store.in_use(cancel=cancel):
        site = Site(
            workspace=tree.workspace,
            fingerprints=tree.fingerprints,
            sources=tree.sources,
            store=store,
            build_platform=build_platform(),
            connect=lambda: _connect(store, options.engine),
            events=events,
            rebuild=frozenset(tree.names) if rebuild else frozenset(),
        )
        actions: dict[StepKind, Action] = {StepKind.BUILD: BuildAction(site), StepKind.ASSEMBLE: AssembleAction(site)}
        try:
            results = run(
                plan, actions, jobs=options.job_count, keep_going=options.keep_going, events=events, cancel=cancel
            )
        finally:
            site.close()
    return BuildReport(tree, plan, results, store)


def _connect(store: Store, wanted: str) -> Engine:
    from pkgtool.engines.select import connect

    return connect(store, wanted)
