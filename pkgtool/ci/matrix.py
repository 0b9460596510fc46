"""The jobs of a CI run: what changed since a revision, in waves, shared out over runners. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pkgtool.ci.balance import share_out
from pkgtool.fingerprint import Fingerprint
from pkgtool.graph import in_order
from pkgtool.model import Package
from pkgtool.values import Platform

_UNKNOWN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """What one runner does: build and push these packages for one platform, after all earlier waves."""

    wave: int
    platform: Platform
    packages: tuple[str, ...]
    runner: str
    seconds: float
    """How long it will take, from recorded times."""

    @property
    def name(self) -> str:
        """For people: `linux/arm64: getty, sshd`, shortened."""
        shown = ", ".join(self.packages[:3]) + (f" and {len(self.packages) - 3} more" if len(self.packages) > 3 else "")
        return f"{self.platform}: {shown}"


def changed(
    packages: Mapping[str, Package], before: Mapping[str, Fingerprint], after: Mapping[str, Fingerprint]
) -> tuple[str, ...]:
    """The packages whose tags moved, in dependency order; what stands on a moved one has moved too."""
    return tuple(name for name in in_order(packages) if name not in before or before[name].digest != after[name].digest)


def waves(packages: Mapping[str, Package], names: Sequence[str]) -> dict[str, int]:
    """For each of `names` the number of its wave: one more than that of the last of them that it stands on."""
    chosen = set(names)
    found: dict[str, int] = {}
    for name in in_order(packages, chosen):
        below = [found[d.name] for d in packages[name].dependencies if d.name in found]
        # What is not among the names is there already, but what it stands on may be among them.
        found[name] = max(below, default=-1) + (1 if name in chosen else 0)
    return {name: found[name] for name in names}


def plan_jobs(
    packages: Mapping[str, Package],
    names: Sequence[str],
    platforms: Sequence[Platform],
    *,
    runners: Mapping[Platform, str],
    timings: Mapping[str, float],
    shards: int,
    published: Collection[tuple[str, Platform]] = (),
    one_wave: bool = False,
) -> tuple[Job, ...]:
    """Jobs that build `names`: at most `shards` for each wave and platform, balanced by recorded times.

    `timings` are seconds by step id, as the store keeps them; what was never timed counts like the median. Left out
    is what is `published`. With `one_wave` all jobs can run at once: each builds for itself what its packages stand on.
    """
    number = dict.fromkeys(names, 0) if one_wave else waves(packages, names)
    usual = median(timings.values()) if timings else _UNKNOWN_SECONDS
    jobs: list[Job] = []
    for wave in sorted(set(number.values())):
        for platform in platforms:
            wanted = [n for n in names if platform in packages[n].platforms and (n, platform) not in published]
            members = [n for n in wanted if number[n] == wave]
            seconds = [timings.get(f"build {name} {platform}", usual) for name in members]
            for share in share_out(seconds, min(shards, len(members))) if members else ():
                chosen = tuple(members[position] for position in share)
                expected = sum(seconds[position] for position in share)
                jobs.append(Job(wave, platform, chosen, runners[platform], expected))
    return tuple(jobs)
