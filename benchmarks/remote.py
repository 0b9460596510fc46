"""How much faster a tree is built by two one-core workers than by one (as root).

    python -m benchmarks.remote [--rounds N]

Each worker is a real buildkitd in a network namespace of its own, bound to one processor, reached over mutual TLS. All
builds are of the same tree into a fresh store, by workers that have never built anything. One worker and two take
turns. Printed: seconds of each build, what went over the network, and the ratio of the medians. pkgtool itself runs
on the same two processors.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from pkgtool.cancel import Cancellation
from pkgtool.plan import StepKind
from pkgtool.values import Platform
from pkgtool.workflows.build import build
from pkgtool.workflows.options import RunOptions
from tests.support.remote import tree as trees
from tests.support.remote.certificates import Authority
from tests.support.remote.workers import Worker, worker

LEAVES = 10
TURNS = 3_000_000
AT_MOST = 0.65
AMD64 = Platform("linux", "amd64")


def measure(place: Path, tree: Path, workers: Sequence[Worker]) -> tuple[float, dict[str, str]]:
    """Seconds and digests of building the tree with these workers."""
    nodes = tuple(each.node(f"worker-{each.cpus}", AMD64, jobs=1) for each in workers)
    sent = {each.machine.name: traffic(each) for each in workers}
    started = time.monotonic()
    report = build(
        RunOptions(tree, platforms=(AMD64,), store=place / "store", builders=nodes),
        [],
        events=lambda _: None,
        cancel=Cancellation(),
    )
    seconds = time.monotonic() - started
    assert report.results.good, [result.error for result in report.results.by_step.values()]
    digests, built = {}, {node.name: 0 for node in nodes}
    for step in report.plan.steps:
        record = report.results.by_step[step.id].record
        if step.kind is StepKind.BUILD and record:
            digests[step.title] = str(record.manifest.digest)
            built[record.made_by.rpartition(" on ")[2]] += 1
    spread = ", ".join(f"{count} by {node}" for node, count in built.items())
    load = os.getloadavg()[0]
    print(
        f"{len(workers)} worker{'s' * (len(workers) > 1):2} {seconds:6.1f} s   {spread} (load {load:.1f})", flush=True
    )
    for each in workers:
        before, after = sent[each.machine.name], traffic(each)
        there, back = after[0] - before[0], after[1] - before[1]
        print(f"  worker-{each.cpus}: {there / 1e6:.2f} MB to it, {back / 1e6:.2f} MB from it")
    return seconds, digests


def traffic(each: Worker) -> tuple[int, int]:
    """Bytes that went to a worker and came from it, as its network device counts them."""
    counters = Path("/sys/class/net") / each.machine.name / "statistics"
    return int((counters / "tx_bytes").read_text()), int((counters / "rx_bytes").read_text())


def run(place: Path, tree: Path, cpus: str) -> tuple[float, dict[str, str]]:
    """One measurement: workers that have never built anything, one for each processor named."""
    authority = Authority(place / "authority", "builders")
    with ExitStack() as running:
        workers = [running.enter_context(worker(place, cpu, authority, ["linux/amd64"], cpus=cpu)) for cpu in cpus]
        return measure(place, tree, workers)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    times: dict[int, list[float]] = {1: [], 2: []}
    digests = []
    with tempfile.TemporaryDirectory(prefix="pkgtool-bench-", ignore_cleanup_errors=True) as directory:
        tree = trees.make(Path(directory) / "tree", leaves=LEAVES, turns=TURNS)
        for number in range(parser.parse_args().rounds):
            # One worker is on either processor in turn, and before and after two of them in turn.
            alone = str(number % 2)
            for cpus in (alone, "01") if number % 2 == 0 else ("01", alone):
                place = Path(directory) / f"{number}-{cpus}"
                place.mkdir()
                seconds, found = run(place, tree, cpus)
                times[len(cpus)].append(seconds)
                digests.append(found)
                shutil.rmtree(place, ignore_errors=True)
    one, two = median(times[1]), median(times[2])
    same = all(each == digests[0] for each in digests)
    print(
        f"medians {one:.1f} s and {two:.1f} s: ratio {two / one:.2f} (at most {AT_MOST}; 0.5 is the least there can be)"
    )
    print(f"digests {'equal' if same else 'DIFFERENT'} in all runs")
    return 0 if two / one <= AT_MOST and same else 1


if __name__ == "__main__":
    sys.exit(main())
