"""How much faster a tree is built by two one-core workers than by one: `python -m benchmarks.remote` (as root).

Each worker is a real buildkitd in a network namespace of its own, bound to one processor, reached over mutual TLS. All
builds are of the same tree into a fresh store; the workers keep no cache from one to the next. Printed: seconds of
each, the ratio, and what went over the network.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

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


def measure(place: Path, tree: Path, workers: Sequence[Worker], name: str) -> tuple[float, dict[str, str]]:
    """Seconds and digests of building the tree with these workers."""
    nodes = tuple(each.node(f"worker-{each.cpus}", AMD64, jobs=1) for each in workers)
    sent = {each.machine.name: traffic(each) for each in workers}
    started = time.monotonic()
    report = build(
        RunOptions(tree, platforms=(AMD64,), store=place / f"store-{name}", builders=nodes),
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
    print(f"{name:18} {seconds:6.1f} s   {spread}", flush=True)
    for each in workers:
        before, after = sent[each.machine.name], traffic(each)
        there, back = after[0] - before[0], after[1] - before[1]
        print(f"  worker-{each.cpus}: {there / 1e6:.2f} MB to it, {back / 1e6:.2f} MB from it")
    return seconds, digests


def traffic(each: Worker) -> tuple[int, int]:
    """Bytes that went to a worker and came from it, as its network device counts them."""
    counters = Path("/sys/class/net") / each.machine.name / "statistics"
    return int((counters / "tx_bytes").read_text()), int((counters / "rx_bytes").read_text())


def main() -> int:
    place = Path(tempfile.mkdtemp(prefix="pkgtool-bench-"))
    try:
        tree = trees.make(place / "tree", leaves=LEAVES, turns=TURNS)
        authority = Authority(place / "authority", "builders")
        times = {}
        digests = []
        for name, cpus in (("one worker", "0"), ("two workers", "01")):
            directory = place / name.split()[0]
            directory.mkdir()
            with ExitStack() as running:
                workers = [
                    running.enter_context(worker(directory, cpu, authority, ["linux/amd64"], cpus=cpu)) for cpu in cpus
                ]
                times[name], found = measure(place, tree, workers, name)
                digests.append(found)
        ratio = times["two workers"] / times["one worker"]
        same = digests[0] == digests[1]
        print(f"ratio {ratio:.2f} (at most {AT_MOST}), digests {'equal' if same else 'DIFFERENT'}")
        return 0 if ratio <= AT_MOST and same else 1
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
