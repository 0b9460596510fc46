"""What is felt every day: --help, show-tag and a build with nothing to do on 50 packages, the plan of 10,000.

    python -m benchmarks.startup [--rounds N] [--packages N]

Each number is the least of the rounds, in a fresh process; memory is its peak resident size. The trees are made here:
each package stands on one or two others, and an engine that only copies has filled the store. Programs are counted by
strace. Must hold: --help under 0.2 s; a no-op build of 50 under 0.6 s and without an engine; show-tag of 50 under
0.35 s with at most three git processes; the plan of 10,000 under 3 s and 300 MB, and growth that is linear.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support import built_tree, many_packages
from tests.support.measure import Cost, cost, started_programs

PKGTOOL = str(Path(sys.executable).parent / "pkgtool")
FEW, GROWTH = 50, 1.5
ENGINES = {"buildah", "docker", "buildctl", "runc", "unshare", "mmdebstrap"}
"""Programs that a run without builds must not start."""


def main() -> int:
    options = _arguments()
    print(f"{'':34}{'seconds':>9}{'limit':>8}{'processor':>11}{'MB':>7}  programs")
    with tempfile.TemporaryDirectory(prefix="pkgtool-benchmark-") as directory:
        place = Path(directory)
        good = _few(place, options.rounds)
        good &= _many(place, options.packages, options.rounds)
    return 0 if good else 1


def _few(place: Path, rounds: int) -> bool:
    tree = many_packages.make(place / "few", FEW)
    built_tree.build(tree, place / "store")
    on_tree = [PKGTOOL, "-C", str(tree), "--store", str(place / "store")]
    good = _report("pkgtool --help", cost([PKGTOOL, "--help"], rounds=rounds), 0.2)
    for name, limit in (("show-tag", 0.35), ("build", 0.6)):
        command = [*on_tree, name]
        programs = started_programs(command)
        text = ", ".join(f"{count} {program}" for program, count in sorted(programs.items()) if program != "pkgtool")
        good &= _report(f"pkgtool {name}, {FEW} packages", cost(command, rounds=rounds), limit, text)
        good &= programs["git"] <= 3 and not ENGINES & set(programs)
    return good


def _many(place: Path, largest: int, rounds: int) -> bool:
    counts = [largest // 10, largest // 2, largest]
    costs = []
    for count in counts:
        tree = many_packages.make(place / str(count), count)
        command = [PKGTOOL, "-C", str(tree), "--store", str(place / "empty"), "plan"]
        costs.append(cost(command, rounds=min(rounds, 3)))
    good = True
    for count, each in zip(counts, costs, strict=True):
        good &= _report(f"pkgtool plan, {count:,} packages", each, 3.0)
    lower, upper = (
        (after.processor - before.processor) / (n - m)
        for before, after, m, n in zip(costs, costs[1:], counts, counts[1:], strict=False)
    )
    print(
        f"a package more costs {lower * 1e6:.0f} µs below, {upper * 1e6:.0f} µs above: ratio {upper / lower:.2f}",
        end="",
    )
    print(f" (linear: at most {GROWTH})")
    return good and upper / lower <= GROWTH and costs[-1].memory < 300e6


def _report(what: str, found: Cost, limit: float, programs: str = "") -> bool:
    print(
        f"{what:34}{found.seconds:9.2f}{limit:8.2f}{found.processor:11.2f}{found.memory / 1e6:7.0f}  {programs}",
        flush=True,
    )
    return found.seconds < limit


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packages", type=int, default=10_000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
