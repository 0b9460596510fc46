"""What a day of many packages costs in requests, bytes and time besides the building itself.

    python -m benchmarks.scale [--packages N]

A tree of N packages for two platforms. Its images are made by an engine that only copies, so what is measured is what
pkgtool does around a build. The registry is one on loopback that counts; it has the referrers API. Printed, for each
command: wall time, requests by method, and megabytes to the registry; then the same for one package.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pkgtool.cli.main import main as pkgtool
from pkgtool.engines import select
from tests.support import many_packages
from tests.support.instant_engine import InstantEngine
from tests.support.registry import server

_PLATFORMS = "linux/amd64,linux/arm64"


def measure(title: str, registry: server.State, packages: int, run: Callable[[], int]) -> None:
    """One line about a command."""
    registry.forget()
    started = time.monotonic()
    with quiet():
        code = run()
    seconds = time.monotonic() - started
    assert code == 0, title
    requests = registry.count()
    methods = ", ".join(f"{count} {method}" for method, count in sorted(requests.items())) or "none"
    print(f"{title:34} {seconds:7.1f} s  {registry.received / 1e6:8.2f} MB  {requests.total():6} requests: {methods}")
    each = f"{1000 * seconds / packages:.1f} ms, {requests.total() / packages:.1f} requests"
    print(f"{'  a package':34} {each}, {registry.received / packages / 1e3:.1f} kB", flush=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing of the command is printed."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--packages", type=int, default=100)
    count = parser.parse_args().packages
    select.connect = lambda *_: InstantEngine()  # type: ignore[assignment]
    with tempfile.TemporaryDirectory(prefix="pkgtool-bench-") as directory, server.serving() as registry:
        place = Path(directory)
        tree = many_packages.make(place / "tree", count)
        os.environ |= {"PKGTOOL_KEY_PASSWORD": "for the benchmark"}
        common = ["-C", str(tree), "--store", str(place / "store"), "--platform", _PLATFORMS, "--progress", "quiet"]
        there = ["--registry", registry.address]
        signing = ["--key", str(place / "key.key")]
        with quiet():
            assert pkgtool(["key", "generate", str(place / "key")]) == 0

        def step(title: str, *command: str) -> None:
            measure(title, registry, count, lambda: pkgtool([*command, *common]))

        step("ci matrix (everything)", "ci", "matrix")
        step("ci matrix --unpublished (all)", "ci", "matrix", "--unpublished", *there)
        step("build, by an engine that copies", "build")
        step("push, the first time", "push", "--no-build", *there)
        step("push, nothing new", "push", "--no-build", *there)
        step("push --sign, nothing signed yet", "push", "--no-build", "--sign", *signing, *there)
        step("push --sign, nothing new", "push", "--no-build", "--sign", *signing, *there)
        step("ci matrix --unpublished (nothing)", "ci", "matrix", "--unpublished", *there)
        empty = ["--store", str(place / "empty")]
        with_empty = [word for word in common if word not in ("--store", str(place / "store"))]
        measure("pull into an empty store", registry, count, lambda: pkgtool(["pull", *with_empty, *empty, *there]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
