"""Pushing a tree of packages, against the peers, in one run.

    python -m benchmarks.registry [--packages N] [--layer MIB] [--rounds N]

Cold push: `pkgtool`'s library from an OCI layout to an empty docker-registry, against `skopeo copy --all` of the same
images. No-op push: one process that finds every package published as it should be, against `crane digest`, as many at
a time as there are cores: over the packages' tags, and over all the tags that were published (each platform has one).
Each number is the median of the rounds; ratios under 1 mean that ours is faster.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pkgtool.oci.registry.publish import all_tags
from pkgtool.oci.store.archive import exported
from pkgtool.oci.store.repository import StoreRepository
from tests.support import sid_tools
from tests.support.registry import registries
from tests.support.registry.images import AMD64, ARM64, put_package

PLATFORMS = (AMD64, ARM64)

_PUSH = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pkgtool.oci.documents import Index
from pkgtool.oci.registry.publish import Publication, publish
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from pkgtool.oci.store.layout import Layout
from pkgtool.oci.store.repository import StoreRepository

address, root, state, *names = sys.argv[1:]
layout = Layout(Path(root), temporary=lambda: Path(state), lock=Path(state) / "lock")
references = layout.references()

def push(name):
    index = layout.index(references[f"{name}:v1"])
    images = {m.platform: m for m in index.manifests}
    work = Publication("v1", images, tuple(images), state=Path(state))
    return publish(StoreRepository(layout, name), registry.repository(name), work).outcome

with Registry(address, RegistrySettings(state=Path(state), certificates=())) as registry:
    with ThreadPoolExecutor(8) as pool:
        outcomes = set(map(str, pool.map(push, names)))
print(*sorted(outcomes))
"""


def main() -> None:
    arguments = _arguments()
    names = [f"linuxkit/p{number:03}" for number in range(arguments.packages)]
    skopeo, crane = registries.require("skopeo", "skopeo"), sid_tools.program("crane")
    with tempfile.TemporaryDirectory(prefix="pkgtool-benchmark-") as directory:
        root = Path(directory)
        _make(root / "layout", names, arguments.layer)
        rounds = [_round(root / str(number), root, names, skopeo, crane) for number in range(arguments.rounds)]
    cold, peer, noop, one, every = (statistics.median(times) for times in zip(*rounds, strict=True))
    _report("cold push", cold, "skopeo copy --all", peer)
    _report("no-op push", noop, "crane digest of every package's tag", one)
    _report("no-op push", noop, "crane digest of every tag", every)


def _round(place: Path, root: Path, names: list[str], skopeo: str, crane: str) -> tuple[float, ...]:
    with registries.docker_registry(place / "ours") as ours, registries.docker_registry(place / "theirs") as other:
        return (
            _timed(lambda: _ours(ours, root, place, names, "created")),
            _timed(lambda: _skopeo(skopeo, other, root, names)),
            _timed(lambda: _ours(ours, root, place, names, "unchanged")),
            _timed(lambda: _crane(crane, ours, names, ["v1"])),
            _timed(lambda: _crane(crane, ours, names, all_tags("v1", PLATFORMS))),
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="push a tree of packages, against the peers")
    parser.add_argument("--packages", type=int, default=40)
    parser.add_argument("--layer", type=float, default=1.0, help="MiB of each package's own layer")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _make(path: Path, names: list[str], mebibytes: float) -> None:
    with exported(path) as layout:
        for name in names:
            layers = (("common base", 8 * 2**20), (f"{name}-{random.random()}", int(mebibytes * 2**20)))
            put_package(StoreRepository(layout, name), PLATFORMS, seed=name, layers=layers, tag="v1")


def _ours(address: str, root: Path, place: Path, names: list[str], expected: str) -> None:
    state = place / "state"
    state.mkdir(exist_ok=True)
    command = [sys.executable, "-c", _PUSH, address, str(root / "layout"), str(state), *names]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [expected], done.stdout


def _skopeo(skopeo: str, address: str, root: Path, names: list[str]) -> None:
    for name in names:
        place = f"docker://{address}/{name}:v1"
        command = [skopeo, "copy", "-q", "--all", "--dest-tls-verify=false", f"oci:{root / 'layout'}:{name}:v1", place]
        subprocess.run(command, check=True, capture_output=True)


def _crane(crane: str, address: str, names: list[str], tags: list[str]) -> None:
    references = [f"{address}/{name}:{tag}" for name in names for tag in tags]
    command = ["xargs", "-P", str(os.cpu_count()), "-n1", crane, "digest"]
    done = subprocess.run(command, input="\n".join(references), check=True, capture_output=True, text=True)
    assert len(done.stdout.split()) == len(references)


def _timed(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _report(what: str, ours: float, peer: str, theirs: float) -> None:
    print(f"{what}: pkgtool {ours:.2f} s, {peer} {theirs:.2f} s, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
