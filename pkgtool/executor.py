"""Runs a plan: in dependency order, in parallel, longest chain first; one place that cancels.

A failed step blocks what stands on it. Unless `keep_going` is set, no further step starts after a failure; those
that run are let finish, so that no work is lost. On cancellation running steps are ended.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pkgtool.cancel import Cancellation
from pkgtool.errors import Interrupted, PkgtoolError
from pkgtool.events import PlanStarted, Sink, StepFinished, StepStarted
from pkgtool.oci.store.memo import MemoRecord
from pkgtool.plan.steps import Plan, Step, StepKind


class Outcome(StrEnum):
    """How a step ended."""

    BUILT = "built"
    PULLED = "pulled"
    REUSED = "reused"
    DONE = "done"
    PUSHED = "pushed"
    REPLACED = "replaced"
    """Published in the place of other content, as was asked for."""
    SIGNED = "signed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"

    @property
    def good(self) -> bool:
        return self not in (Outcome.FAILED, Outcome.BLOCKED, Outcome.CANCELLED)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step brought: its outcome, what it made, how long it took in seconds, why it failed."""

    outcome: Outcome
    record: MemoRecord | None = None
    seconds: float = 0.0
    error: PkgtoolError | None = None
    log: str = ""
    """The path of the whole log, if there is one."""
    sent: int = 0
    """Bytes that went over the network."""


Action = Callable[[Step, Cancellation], StepResult]

_TRANSFERS = frozenset((StepKind.PULL, StepKind.PUSH, StepKind.SIGN))
"""Kinds of steps that wait for a network most of their time, so that cores don't limit them."""


@dataclass(slots=True)
class Results:
    """The results of a run, by step id."""

    by_step: dict[str, StepResult] = field(default_factory=dict)

    def with_outcome(self, outcome: Outcome) -> list[str]:
        return [step for step, result in self.by_step.items() if result.outcome is outcome]

    @property
    def good(self) -> bool:
        return all(result.outcome.good for result in self.by_step.values())


def run(
    plan: Plan,
    actions: Mapping[StepKind, Action],
    *,
    jobs: int,
    transfers: int = 0,
    keep_going: bool = False,
    events: Sink,
    cancel: Cancellation,
) -> Results:
    """Do what a plan says, `jobs` steps at a time, and beside them `transfers` that mostly wait for a network.

    Errors of steps are in the results, none is raised; a defect in an action (an exception that is no
    `PkgtoolError`) ends the run and is raised.
    """
    return _Run(plan, actions, jobs, transfers or jobs, keep_going, events, cancel).run()


class _Run:
    def __init__(
        self,
        plan: Plan,
        actions: Mapping[StepKind, Action],
        jobs: int,
        transfers: int,
        keep_going: bool,
        events: Sink,
        cancel: Cancellation,
    ) -> None:
        self._plan = plan
        self._actions = actions
        self._jobs = {False: jobs, True: transfers}
        self._keep_going = keep_going
        self._events = events
        self._cancel = cancel
        self._changed = threading.Condition()
        self._ready: dict[bool, list[tuple[float, int, str]]] = {False: [], True: []}
        """What can begin: transfers (True), and what works on this machine."""
        self._missing = {step.id: set(step.needs) for step in plan.to_do()}
        self._users: dict[str, list[str]] = {}
        self._priority = _chain_seconds(plan)
        self._position = {step.id: position for position, step in enumerate(plan.steps)}
        self._running = 0
        self._stopping = False
        self._defect: BaseException | None = None
        self.results = Results()

    def run(self) -> Results:
        self._begin()
        workers = [
            threading.Thread(target=self._work, args=(transfers,), daemon=True)
            for transfers, jobs in self._jobs.items()
            for _ in range(min(jobs, sum(1 for s in self._plan.to_do() if (s.kind in _TRANSFERS) is transfers)))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            # A join without limit would keep the main thread from handling signals.
            while worker.is_alive():
                worker.join(0.2)
        if self._defect:
            raise self._defect
        for step in self._plan.steps:
            self.results.by_step.setdefault(step.id, StepResult(Outcome.CANCELLED))
        return self.results

    def _begin(self) -> None:
        reused = [step for step in self._plan.steps if step.done]
        self._events(PlanStarted(len(self._plan.steps), len(reused)))
        self.results.by_step.update({step.id: StepResult(Outcome.REUSED, step.known) for step in reused})
        for identity, needs in self._missing.items():
            needs.difference_update(self.results.by_step)
            for need in needs:
                self._users.setdefault(need, []).append(identity)
            if not needs:
                self._push(identity)

    def _push(self, identity: str) -> None:
        ready = self._ready[self._plan.by_id[identity].kind in _TRANSFERS]
        heapq.heappush(ready, (-self._priority[identity], self._position[identity], identity))

    def _work(self, transfers: bool) -> None:
        while (step := self._next(self._ready[transfers])) is not None:
            result = self._do(step)
            with self._changed:
                self._running -= 1
                self._settle(step, result)
                self._changed.notify_all()

    def _next(self, ready: list[tuple[float, int, str]]) -> Step | None:
        with self._changed:
            while True:
                if self._stopping or self._cancel.requested:
                    return None
                if ready:
                    self._running += 1
                    return self._plan.by_id[heapq.heappop(ready)[2]]
                if not self._running and not any(self._ready.values()):
                    self._changed.notify_all()
                    return None
                self._changed.wait(0.2)

    def _do(self, step: Step) -> StepResult:
        self._events(StepStarted(step.id, step.title))
        started = time.monotonic()
        try:
            result = self._actions[step.kind](step, self._cancel)
            if not result.seconds:  # an action that keeps no time of its own
                result = replace(result, seconds=time.monotonic() - started)
        except Interrupted as stop:
            result = StepResult(Outcome.CANCELLED, seconds=time.monotonic() - started, error=stop)
        except PkgtoolError as error:
            result = StepResult(Outcome.FAILED, seconds=time.monotonic() - started, error=error)
        except BaseException as defect:  # noqa: BLE001 - raised in the caller's thread once the workers have ended
            self._defect = defect
            self._cancel.request()
            result = StepResult(Outcome.CANCELLED, seconds=time.monotonic() - started)
        return result

    def _settle(self, step: Step, result: StepResult) -> None:
        self.results.by_step[step.id] = result
        detail = str(result.record.manifest.digest) if result.record else ""
        self._events(StepFinished(step.id, step.title, result.outcome.value, result.seconds, detail, result.error))
        if result.outcome.good:
            for user in self._users.get(step.id, ()):
                self._missing[user].discard(step.id)
                if not self._missing[user] and user not in self.results.by_step:
                    self._push(user)
        else:
            self._block_users(step)
            self._stopping = self._stopping or not self._keep_going

    def _block_users(self, failed: Step) -> None:
        pending = list(self._users.get(failed.id, ()))
        while pending:
            identity = pending.pop()
            if identity not in self.results.by_step:
                step = self._plan.by_id[identity]
                self.results.by_step[identity] = StepResult(Outcome.BLOCKED)
                self._events(StepFinished(identity, step.title, Outcome.BLOCKED.value, 0.0, f"needs {failed.title}"))
                pending += self._users.get(identity, ())


def _chain_seconds(plan: Plan) -> dict[str, float]:
    """For each step, how long it and the longest chain of steps that wait for it will take."""
    longest_after: dict[str, float] = {}
    total: dict[str, float] = {}
    for step in reversed(plan.steps):
        # A step never timed before counts as a second, so that longer chains still come first.
        total[step.id] = (step.seconds or 1.0) + longest_after.get(step.id, 0.0)
        for need in step.needs:
            longest_after[need] = max(longest_after.get(need, 0.0), total[step.id])
    return total
