"""The plan: the frozen list of steps that a command would do, made without doing anything."""

from pkgtool.plan.planner import Snapshot, Target, plan_build
from pkgtool.plan.steps import Plan, Skipped, Step, StepKind

__all__ = ["Plan", "Skipped", "Snapshot", "Step", "StepKind", "Target", "plan_build"]
