"""How long `pkgtool ci matrix` takes on a tree of 1,000 packages after its largest base and one leaf changed.

    python -m benchmarks.matrix [--rounds N] [--packages N]

Each round is a fresh process; printed are wall and processor time of every round (git's included), and how many
packages of how many are in the matrix. The slowest round must take less than 2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import big_tree
from tests.support.measure import cost
from tests.support.tree import TreeBuilder

PKGTOOL = str(Path(sys.executable).parent / "pkgtool")
LIMIT = 2.0
SHARDS = 8


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--packages", type=int, default=1000)
    options = parser.parse_args()
    os.environ |= {
        f"GIT_{who}_{what}": "bench@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    with tempfile.TemporaryDirectory(prefix="pkgtool-bench-") as directory:
        tree = big_tree.make(TreeBuilder(Path(directory) / "tree").init(), options.packages)
        before = tree.builder.git("rev-parse", "HEAD")
        changed = (max(tree.bases, key=lambda base: len(tree.standing_on([base]))), tree.leaves[0])
        for package in changed:
            tree.builder.write(f"pkg/{package}/content", "changed\n")
        tree.builder.commit("a change")
        on_tree = ["-C", str(tree.builder.root), "--store", str(Path(directory) / "store")]
        command = [PKGTOOL, *on_tree, "ci", "matrix", "--since", before, "--shards", str(SHARDS)]
        found = packages_in(subprocess.run(command, check=True, capture_output=True).stdout)
        print(f"{len(found)} of {options.packages} packages are in the matrix", flush=True)
        rounds = [cost(command) for _ in range(options.rounds)]
    for each in rounds:
        print(f"{each.seconds:.2f} s, {each.processor:.2f} s of processor time, {each.memory / 1e6:.0f} MB")
    slowest = max(each.seconds for each in rounds)
    print(f"slowest {slowest:.2f} s (limit {LIMIT} s)")
    return 0 if slowest < LIMIT and found == tree.standing_on(changed) else 1


def packages_in(output: bytes) -> set[str]:
    """The packages that a matrix names."""
    return {name for wave in json.loads(output)["waves"] for job in wave for name in job["packages"].split()}


if __name__ == "__main__":
    sys.exit(main())
