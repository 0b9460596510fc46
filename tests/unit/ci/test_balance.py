"""Sharing out jobs: nothing lost, nothing twice, and close to the best there is."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.ci.balance import longest, share_out

SECONDS = st.floats(0, 1000)


def best(seconds: Sequence[float], shares: int) -> float:
    """The shortest that the longest share can be, by trying every sharing."""
    loads = (
        [sum(s for s, share in zip(seconds, chosen, strict=True) if share == number) for number in range(shares)]
        for chosen in itertools.product(range(shares), repeat=len(seconds))
    )
    return min(max(each) for each in loads)


@given(st.lists(SECONDS, max_size=40), st.integers(1, 12))
def test_every_job_is_in_one_share(seconds: list[float], shares: int) -> None:
    shared = share_out(seconds, shares)
    assert len(shared) == shares
    assert sorted(job for share in shared for job in share) == list(range(len(seconds)))
    assert shared == share_out(seconds, shares), "the same jobs are shared out the same way"


@given(st.lists(SECONDS, min_size=1, max_size=7), st.integers(1, 3))
def test_few_jobs_are_shared_out_as_well_as_can_be(seconds: list[float], shares: int) -> None:
    assert longest(seconds, share_out(seconds, shares)) == pytest.approx(best(seconds, shares), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("shares", [2, 3, 5])
@pytest.mark.parametrize("jobs", [13, 17, 24, 40])
def test_more_jobs_are_within_a_tenth_of_what_no_sharing_beats(jobs: int, shares: int) -> None:
    """A limit below the best one: the mean, the longest job, and, of shares + 1 jobs, that two must share."""
    for seed in range(40):
        seconds = recorded(random.Random(seed), jobs)
        largest = sorted(seconds, reverse=True)
        no_less = max(sum(seconds) / shares, largest[0], largest[shares - 1] + largest[shares])
        assert longest(seconds, share_out(seconds, shares)) <= 1.1 * no_less


def test_a_thousand_jobs_take_no_time_to_share_out() -> None:
    seconds = recorded(random.Random(7), 1000)
    started = time.process_time()
    shared = share_out(seconds, 16)
    assert time.process_time() - started < 1.5
    assert longest(seconds, shared) <= 1.01 * max(sum(seconds) / 16, *seconds)


def recorded(rng: random.Random, jobs: int) -> list[float]:
    """Times as builds have them: most take seconds, some minutes."""
    return [rng.lognormvariate(3, 1) for _ in range(jobs)]


def test_no_share_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one share"):
        share_out([1.0], 0)
