"""Pushing a tree of packages, against the peers, in one run.

    python -m benchmarks.registry [--packages N] [--layer MIB] [--rounds N]

Cold push: `pkgtool push` of a tree whose images are in the store, to an empty docker-registry, against `skopeo copy
--all` of the same images out of the same store. No-op push: the same command again, against `crane digest`, as many
at a time as there are cores, over two sets of tags:

* all that were published, which are those that the push stands for: each package's tag, and each platform's. This is
  the comparison that the program judges by.
* the packages' tags alone, which are those that the push asks for: an index names its platforms' manifests, so that
  its digest answers for all three.

The no-op push is measured on a small tree as well (`--few`), where nearly all of it is Python's start. Each number is
the median of the rounds; a ratio under 1 means that ours is faster. The program fails if the cold push, or the no-op
push against all tags, is slower than the peer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support import sid_tools
from tests.support.command_line import CommandLine
from tests.support.registry import registries
from tests.support.registry.built_tree import fill
from tests.support.registry.images import AMD64, ARM64
from tests.support.tree import TreeBuilder

PLATFORMS = (AMD64, ARM64)


def main() -> int:
    arguments = _arguments()
    names = [f"p{number:03}" for number in range(arguments.packages)]
    skopeo, crane = registries.require("skopeo", "skopeo"), sid_tools.program("crane")
    holds = True
    for count, judged in ((arguments.packages, True), (arguments.few, False)):
        with tempfile.TemporaryDirectory(prefix="pkgtool-benchmark-") as directory:
            root = Path(directory)
            line = _make(root, names[:count], arguments.layer)
            shown = line("show-tag").ok().out.split()
            references = [name.removeprefix("docker.io/") for name in shown]
            rounds = [_round(root / str(number), line, references, skopeo, crane) for number in range(arguments.rounds)]
        cold, peer, noop, one, every = (statistics.median(times) for times in zip(*rounds, strict=True))
        print(f"{count} packages, {count * len(PLATFORMS)} images:")
        kept = _report("cold push", cold, "skopeo copy --all", peer)
        kept &= _report("no-op push", noop, f"crane digest of all {count * (1 + len(PLATFORMS))} tags", every)
        _report("no-op push", noop, f"crane digest of the {count} packages' tags", one)
        holds &= kept or not judged
    return 0 if holds else 1


def _round(place: Path, line: CommandLine, references: list[str], skopeo: str, crane: str) -> tuple[float, ...]:
    every = [f"{name}{ending}" for name in references for ending in ("", *(f"-{p.arch}" for p in PLATFORMS))]
    with registries.docker_registry(place / "ours") as ours, registries.docker_registry(place / "theirs") as other:
        return (
            _timed(lambda: _ours(line, ours, "pushed")),
            _timed(lambda: _skopeo(skopeo, other, line.store, references)),
            _timed(lambda: _ours(line, ours, "unchanged")),
            _timed(lambda: _crane(crane, ours, references)),
            _timed(lambda: _crane(crane, ours, every)),
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="push a tree of packages, against the peers")
    parser.add_argument("--packages", type=int, default=40)
    parser.add_argument("--few", type=int, default=7, help="packages of the small tree, which is not judged")
    parser.add_argument("--layer", type=float, default=1.0, help="MiB of each package's own layer")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _make(root: Path, names: list[str], mebibytes: float) -> CommandLine:
    """A committed tree, and a store that has its images; the references are set."""
    tree = TreeBuilder(root / "tree").init()
    for name in names:
        tree.package(name, "arches: [amd64, arm64]\n")
    tree.git("add", "--all")
    tree.git("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com", "commit", "--quiet", "-m", "a tree")
    line = CommandLine(tree.root, root / "store")
    fill(line, base=8 * 2**20, own=dict.fromkeys(names, int(mebibytes * 2**20)))
    line("build", "--platform", ",".join(map(str, PLATFORMS)), "--quiet").ok()
    return line


def _ours(line: CommandLine, address: str, expected: str) -> None:
    done = line.run("push", "--registry", address, "--json", "--quiet", timeout=600).ok()
    assert {step["result"] for step in done.json["steps"]} == {expected}, done.out


def _skopeo(skopeo: str, address: str, store: Path, references: list[str]) -> None:
    for name in references:
        place = f"docker://{address}/{name}"
        command = [skopeo, "copy", "-q", "--all", "--dest-tls-verify=false", f"oci:{store}:{name}", place]
        subprocess.run(command, check=True, capture_output=True)


def _crane(crane: str, address: str, references: list[str]) -> None:
    command = ["xargs", "-P", str(os.cpu_count()), "-n1", crane, "digest"]
    names = "\n".join(f"{address}/{name}" for name in references)
    done = subprocess.run(command, input=names, check=True, capture_output=True, text=True)
    assert len(done.stdout.split()) == len(references)


def _timed(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _report(what: str, ours: float, peer: str, theirs: float) -> bool:
    """Print a comparison; whether ours is not slower."""
    print(f"  {what}: pkgtool {ours:.2f} s, {peer} {theirs:.2f} s, ratio {ours / theirs:.2f}")
    return ours <= theirs


if __name__ == "__main__":
    sys.exit(main())
