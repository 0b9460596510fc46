"""Sharing out jobs so that the longest share is as short as possible (multiprocessor scheduling).

Few jobs are shared out exactly, by search with pruning. More jobs get the longest-processing-time rule, which is
then improved by moves and swaps; with many jobs that ends within a fraction of a percent of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence

_EXACT = 12
"""Jobs up to which every sharing is considered."""
_ROUNDS = 200


def share_out(seconds: Sequence[float], shares: int) -> list[list[int]]:
    """Positions of jobs, in `shares` lists. Deterministic; an empty list is a share with nothing to do."""
    if shares < 1:
        raise ValueError("there must be at least one share")
    found = _longest_first(seconds, shares)
    found = _improve(found, seconds)
    if len(seconds) <= _EXACT:
        found = _exact(seconds, shares, found)
    return [sorted(share) for share in found]


def longest(seconds: Sequence[float], shared: Sequence[Sequence[int]]) -> float:
    """How long the longest share takes."""
    return max((sum(seconds[job] for job in share) for share in shared), default=0.0)


def _longest_first(seconds: Sequence[float], shares: int) -> list[list[int]]:
    """The longest job not yet given goes to the share that is shortest so far."""
    found: list[list[int]] = [[] for _ in range(shares)]
    loads = [0.0] * shares
    for job in sorted(range(len(seconds)), key=lambda j: (-seconds[j], j)):
        share = loads.index(min(loads))
        found[share].append(job)
        loads[share] += seconds[job]
    return found


def _improve(found: list[list[int]], seconds: Sequence[float]) -> list[list[int]]:
    """Move or swap jobs out of the longest share as long as that makes it shorter."""
    for _ in range(_ROUNDS):
        loads = [sum(seconds[job] for job in share) for share in found]
        top = loads.index(max(loads))
        step = _best_step(found, loads, top, seconds)
        if step is None:
            break
        job, other, back = step
        found[top].remove(job)
        found[other].append(job)
        if back is not None:
            found[other].remove(back)
            found[top].append(back)
    return found


def _best_step(
    found: list[list[int]], loads: list[float], top: int, seconds: Sequence[float]
) -> tuple[int, int, int | None] | None:
    best: tuple[float, int, int, int | None] | None = None
    for other in range(len(found)):
        gap = loads[top] - loads[other]
        if other == top or gap <= 0:
            continue
        for job in found[top]:
            for back in (None, *found[other]):
                shift = seconds[job] - (seconds[back] if back is not None else 0.0)
                # After the step both shares must be shorter than the longest was.
                gain = min(shift, gap - shift)
                if gain > 1e-9 and (best is None or gain > best[0]):
                    best = (gain, job, other, back)
    return best[1:] if best else None


def _exact(seconds: Sequence[float], shares: int, start: list[list[int]]) -> list[list[int]]:
    """Search all sharings, longest jobs first, leaving out what can't beat the best one so far."""
    order = sorted(range(len(seconds)), key=lambda j: (-seconds[j], j))
    best = [list(share) for share in start]
    limit = longest(seconds, start)
    floor = max(sum(seconds) / shares, max(seconds, default=0.0))
    loads = [0.0] * shares
    chosen: list[list[int]] = [[] for _ in range(shares)]

    def place(position: int) -> None:
        nonlocal best, limit
        if limit <= floor + 1e-9:
            return
        if position == len(order):
            best, limit = [list(share) for share in chosen], max(loads)
            return
        job = order[position]
        tried: set[float] = set()
        for share in range(shares):
            # Shares of equal length are interchangeable: trying one of them is enough.
            if loads[share] in tried or loads[share] + seconds[job] >= limit - 1e-9:
                continue
            tried.add(loads[share])
            loads[share] += seconds[job]
            chosen[share].append(job)
            place(position + 1)
            chosen[share].pop()
            loads[share] -= seconds[job]

    place(0)
    return best
