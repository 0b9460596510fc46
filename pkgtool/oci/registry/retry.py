"""Trying again: only what is idempotent, only what is temporary, with a limit, jitter and the registry's own wish."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pkgtool.cancel import Cancellation
from pkgtool.errors import Interrupted
from pkgtool.events import Note, Sink
from pkgtool.oci.registry.errors import RequestFailed, is_temporary
from pkgtool.oci.registry.settings import RetryPolicy

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")


def persistently(attempt: Callable[[], T], *, policy: RetryPolicy, cancel: Cancellation, sink: Sink) -> T:
    """The result of `attempt`, called again after temporary failures up to the policy's limits.

    Raises what the last attempt raised; `Interrupted` if `cancel` is requested while waiting.
    """
    try:
        return attempt()
    except RequestFailed as problem:
        if not _worth_it(problem, policy):
            raise
        first = [problem]
    # Imported only now: most runs never need it, and it takes as long as a whole push of nothing new.
    import tenacity

    def again() -> T:
        if first:
            raise first.pop()
        return attempt()

    def sleep(seconds: float) -> None:
        if cancel.wait(seconds):
            raise Interrupted()

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(policy.attempts),
        wait=_Wait(policy),
        retry=tenacity.retry_if_exception(lambda problem: _worth_it(problem, policy)),
        sleep=sleep,
        before_sleep=lambda state: _tell(state, sink),
        reraise=True,
    )
    return retrying(again)


def _worth_it(problem: BaseException, policy: RetryPolicy) -> bool:
    return (
        isinstance(problem, RequestFailed)
        and is_temporary(problem)
        and problem.retry_after <= policy.longest_retry_after
    )


class _Wait:
    """Exponential with jitter, and never shorter than what the registry asked for."""

    def __init__(self, policy: RetryPolicy) -> None:
        import tenacity

        self._own = tenacity.wait_random_exponential(multiplier=policy.first_wait, max=policy.longest_wait)

    def __call__(self, state: tenacity.RetryCallState) -> float:
        problem = state.outcome.exception() if state.outcome else None
        asked = problem.retry_after if isinstance(problem, RequestFailed) else 0.0
        return asked + self._own(state)


def _tell(state: tenacity.RetryCallState, sink: Sink) -> None:
    problem = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0.0
    sink(Note("warning", f"{problem}; trying again in {wait:.1f} s (attempt {state.attempt_number + 1})"))
