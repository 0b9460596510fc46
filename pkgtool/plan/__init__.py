"""The plan: the frozen list of steps that a command would do, made without doing anything."""

from pkgtool.plan.planner import Snapshot, Target, plan_build, plan_push, plan_sign
from pkgtool.plan.steps import IMAGE_KINDS, Plan, Skipped, Step, StepKind

__all__ = [
    "IMAGE_KINDS",
    "Plan",
    "Skipped",
    "Snapshot",
    "Step",
    "StepKind",
    "Target",
    "plan_build",
    "plan_push",
    "plan_sign",
]
