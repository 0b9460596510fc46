"""Fetching into the store against curl and sha256sum, on files of a local server: one large one, and many small ones.

    python -m benchmarks.inputs_fetch

Both sides receive and hash the same bytes from the same server (its own process); the ratio is ours over theirs. Ours
also syncs every file before it counts. Must hold: at most 1.25 for the large file, at most 2 for the small ones.
"""

from __future__ import annotations

import functools
import http.server
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.lock import Content
from pkgtool.oci.files import hash_file
from pkgtool.oci.store import Store

LARGE = 512 * 1024 * 1024
SMALL = [64 * 1024] * 400
ROUNDS = 3


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass


def serve(directory: str, port: Connection) -> None:
    handler = functools.partial(_Quiet, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        port.send(server.server_port)
        server.serve_forever()


def measured(action: Callable[[Path], None]) -> float:
    """The best of some rounds, in seconds, each in an empty directory."""
    best = float("inf")
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as place:
            started = time.perf_counter()
            action(Path(place))
            best = min(best, time.perf_counter() - started)
    return best


def ours(artifacts: list[Artifact], place: Path) -> None:
    store = Store(place / "store")
    with store.in_use(), Fetcher(store) as fetcher:
        fetcher.fetch(artifacts)


def theirs(artifacts: list[Artifact], place: Path) -> None:
    names = [artifact.urls[0] for artifact in artifacts]
    command = [
        "curl",
        "--silent",
        "--no-progress-meter",
        "--fail",
        "--parallel",
        "--parallel-max",
        "8",
        "--remote-name-all",
        *names,
    ]
    subprocess.run(command, cwd=place, check=True)
    sums = "".join(f"{artifact.digest.hex}  {artifact.name}\n" for artifact in artifacts)
    subprocess.run(["sha256sum", "--check", "--quiet"], cwd=place, check=True, input=sums.encode())


def main() -> int:
    held = True
    with tempfile.TemporaryDirectory() as place:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        server = multiprocessing.Process(target=serve, args=(place, sender), daemon=True)
        server.start()
        base = f"http://127.0.0.1:{receiver.recv()}"

        def artifact(name: str, size: int) -> Artifact:
            path = Path(place, name)
            path.write_bytes(os.urandom(size))
            return Artifact("x", name, name, Content(hash_file(path), size), (f"{base}/{name}",))

        for title, sizes, limit in (("one large file", [LARGE], 1.25), ("many small files", SMALL, 2.0)):
            artifacts = [artifact(f"{len(sizes)}-{number}", size) for number, size in enumerate(sizes)]
            fetched = measured(functools.partial(ours, artifacts))
            peer = measured(functools.partial(theirs, artifacts))
            speed = sum(sizes) / fetched / 1e6
            told = f"{title}: {fetched:.2f} s ({speed:.0f} MB/s), curl and sha256sum {peer:.2f} s"
            held &= fetched / peer <= limit
            print(f"{told}, ratio {fetched / peer:.2f} (at most {limit})", flush=True)
        server.terminate()
        server.join()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
