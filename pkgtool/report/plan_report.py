"""A plan as text and JSON."""

from __future__ import annotations

import json
from typing import Any

from pkgtool.plan import Plan, Step
from pkgtool.report.text import duration
from pkgtool.workflows.tree import Tree


def as_text(tree: Tree, plan: Plan) -> str:
    """A line a step that has something to do, with its reason; a count of the others."""
    lines = [_line(tree, step) for step in plan.to_do()]
    done = sum(step.done for step in plan.steps)
    lines.append(f"{len(lines)} steps to do, {done} already done")
    lines += [f"{skipped.package} left out: {skipped.reason}" for skipped in plan.skipped]
    return "\n".join(lines)


def _line(tree: Tree, step: Step) -> str:
    notes = [f"last time {duration(step.seconds)}"] if step.seconds else []
    if step.platform and tree.package(step.package).network:
        notes.append("not hermetic: has the network")
    return f"{step.id}: {step.reason}" + (f" ({'; '.join(notes)})" if notes else "")


def as_json(tree: Tree, plan: Plan) -> str:
    """Every step, done or not, in an order in which they can be done."""
    steps = []
    for step in plan.steps:
        entry: dict[str, Any] = {
            "id": step.id,
            "kind": step.kind.value,
            "package": step.package,
            "reason": step.reason,
            "needs": list(step.needs),
            "done": step.done,
            "hermetic": not tree.package(step.package).network,
        }
        if step.platform:
            entry["platform"] = str(step.platform)
        if step.reference:
            entry["reference"] = str(step.reference)
        if step.known:
            entry["digest"] = str(step.known.manifest.digest)
        steps.append(entry)
    skipped = [{"package": s.package, "reason": s.reason} for s in plan.skipped]
    return json.dumps({"steps": steps, "skipped": skipped}, indent=2)
