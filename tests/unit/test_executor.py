"""Running plans: order, breadth, failures, cancellation; the steps are made up, the executor is the real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.cancel import Cancellation
from pkgtool.errors import BuildError, Interrupted
from pkgtool.events import Event, PlanStarted, StepFinished, StepStarted, ignore
from pkgtool.executor import Outcome, Results, StepResult, run
from pkgtool.plan import Plan, Step, StepKind

FAILS = "fails"


def step(name: str, *needs: str, seconds: float = 0.0, done: bool = False, reason: str = "") -> Step:
    return Step(name, StepKind.BUILD, name, None, reason, needs, done=done, seconds=seconds)


@dataclass
class Work:
    """An action that notes what runs when; a step whose reason is FAILS fails."""

    pause: float = 0.0
    order: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    seen_by: dict[str, frozenset[str]] = field(default_factory=dict)
    """For each step, what had ended when it began."""
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        with self.lock:
            self.order.append(step.id)
            self.seen_by[step.id] = frozenset(self.ended)
            self.running += 1
            self.most = max(self.most, self.running)
        if cancel.wait(self.pause):
            raise Interrupted()
        with self.lock:
            self.running -= 1
            self.ended.add(step.id)
        if step.reason == FAILS:
            raise BuildError(f"{step.id} failed")
        return StepResult(Outcome.BUILT)


def outcomes(results: Results) -> Mapping[str, str]:
    return {name: result.outcome.value for name, result in results.by_step.items()}


def carry_out(*steps: Step, jobs: int = 2, work: Work | None = None, keep_going: bool = False) -> tuple[Work, Results]:
    work = work or Work()
    results = run(
        Plan(steps), {StepKind.BUILD: work}, jobs=jobs, keep_going=keep_going, events=ignore, cancel=Cancellation()
    )
    return work, results


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Step, ...]:
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 14))):
        needs = draw(st.sets(st.sampled_from([s.id for s in steps]), max_size=3)) if steps else set()
        reason = FAILS if draw(st.integers(0, 5)) == 0 else ""
        steps.append(step(f"s{number}", *sorted(needs), reason=reason, done=not needs and draw(st.booleans())))
    return tuple(steps)


def blocked_by_failures(steps: tuple[Step, ...]) -> set[str]:
    blocked: set[str] = set()
    bad = {s.id for s in steps if s.reason == FAILS and not s.done}
    for each in steps:
        if (bad | blocked).intersection(each.needs):
            blocked.add(each.id)
    return blocked


@given(graphs(), st.integers(1, 4))
def test_everything_runs_that_can_once_and_after_what_it_needs(steps: tuple[Step, ...], jobs: int) -> None:
    work, results = carry_out(*steps, jobs=jobs, keep_going=True)
    blocked = blocked_by_failures(steps)
    done = {s.id for s in steps if s.done}
    assert sorted(work.order) == sorted({s.id for s in steps} - blocked - done)
    assert set(results.with_outcome(Outcome.BLOCKED)) == blocked
    assert set(results.with_outcome(Outcome.REUSED)) == done
    for each in steps:
        if each.id in work.seen_by:
            assert set(each.needs) - done <= work.seen_by[each.id]
    assert work.most <= jobs


@given(graphs(), st.integers(1, 4))
def test_without_keep_going_nothing_starts_after_a_failure(steps: tuple[Step, ...], jobs: int) -> None:
    work, results = carry_out(*steps, jobs=jobs)
    assert set(results.by_step) == {s.id for s in steps}
    failed = results.with_outcome(Outcome.FAILED)
    assert len(failed) <= jobs, "those that ran already may fail too"
    if not failed:
        assert results.good
    ran = set(work.order)
    for name, result in results.by_step.items():
        assert (name in ran) == (result.outcome in (Outcome.BUILT, Outcome.FAILED))


def test_the_longest_chain_comes_first() -> None:
    work, _ = carry_out(step("short", seconds=5), step("long", seconds=2), step("after", "long", seconds=9), jobs=1)
    assert work.order == ["long", "after", "short"]


def test_steps_run_side_by_side() -> None:
    work, _ = carry_out(*(step(f"s{n}") for n in range(6)), jobs=3, work=Work(pause=0.05))
    assert work.most == 3


def test_what_runs_when_another_fails_is_let_finish() -> None:
    slow = Work(pause=0.1)

    def action(step: Step, cancel: Cancellation) -> StepResult:
        if step.id == "bad":
            raise BuildError("no")
        return slow(step, cancel)

    plan = Plan((step("good"), step("bad"), step("later", "good")))
    results = run(plan, {StepKind.BUILD: action}, jobs=2, events=ignore, cancel=Cancellation())
    assert outcomes(results) == {"good": "built", "bad": "failed", "later": "cancelled"}


def test_cancelling_ends_what_runs_and_keeps_what_is_done() -> None:
    cancel, work = Cancellation(), Work()

    def action(step: Step, cancel: Cancellation) -> StepResult:
        if step.id == "first":
            return work(step, cancel)
        if cancel.wait(30):
            raise Interrupted()
        raise AssertionError("it was not ended")

    threading.Timer(0.3, cancel.request).start()
    plan = Plan((step("first"), step("second", "first"), step("third", "second")))
    began = time.monotonic()
    results = run(plan, {StepKind.BUILD: action}, jobs=2, events=ignore, cancel=cancel)
    assert time.monotonic() - began < 20
    assert results.by_step["first"].outcome is Outcome.BUILT
    assert results.by_step["second"].outcome is Outcome.CANCELLED
    assert not results.by_step["third"].outcome.good


def test_a_defect_ends_the_run_and_is_raised() -> None:
    def action(step: Step, cancel: Cancellation) -> StepResult:
        if step.id == "defect":
            raise ZeroDivisionError("a defect")
        assert cancel.wait(30)
        raise Interrupted()

    with pytest.raises(ZeroDivisionError):
        run(
            Plan((step("waits"), step("defect"))),
            {StepKind.BUILD: action},
            jobs=2,
            events=ignore,
            cancel=Cancellation(),
        )


def test_listeners_hear_each_step_begin_and_end_once() -> None:
    heard: list[Event] = []
    steps = (step("there", done=True), step("a"), step("bad", reason=FAILS), step("c", "bad"))
    run(Plan(steps), {StepKind.BUILD: Work()}, jobs=1, keep_going=True, events=heard.append, cancel=Cancellation())
    assert heard[0] == PlanStarted(4, 1)
    assert sorted(e.step for e in heard if isinstance(e, StepStarted)) == ["a", "bad"]
    ended = {e.step: (e.outcome, str(e.error or "")) for e in heard if isinstance(e, StepFinished)}
    assert {name: outcome for name, (outcome, _) in ended.items()} == {"a": "built", "bad": "failed", "c": "blocked"}
    assert "bad failed" in ended["bad"][1]


def test_a_step_that_keeps_no_time_gets_one() -> None:
    _, results = carry_out(step("a"), work=Work(pause=0.05))
    assert results.by_step["a"].seconds >= 0.05
