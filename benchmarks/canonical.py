"""Making a layer canonical, against `igzip -1` on the same layer, in one run: speed and memory.

    python -m benchmarks.canonical [--size MB] [--files N] [--rounds N]

Layers: files of this machine's /usr until the layer has its size, the same at twice the size, and many small files.
Ours is everything between the engine's archive and the image in the store: reading, sorting, hashing, compressing,
writing, syncing. The peer (Debian package isal) only compresses the same bytes, to /dev/null. Times are medians of the
rounds; memory is the peak resident size (VmHWM) of a process that does nothing else.

Must hold for the large layers: at least half of igzip's speed, a peak below 200 MB, the same peak at twice the size.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_OURS = """
import sys, time
from pathlib import Path
from pkgtool.oci.canonical.config import ImageSpec
from pkgtool.oci.canonical.image import canonicalise
from pkgtool.oci.canonical.product import from_docker_archive
from pkgtool.oci.store import Store
from pkgtool.values import Platform

archive, place = Path(sys.argv[1]), Path(sys.argv[2])
store = Store(place)
with store.in_use():
    started, worked = time.monotonic(), time.process_time()
    with store.scratch("benchmark") as scratch:
        product = from_docker_archive(archive, scratch, mounts=None)
        canonicalise(store.layout, product, ImageSpec(Platform.parse("linux/amd64"), 1, "benchmark"))
    print(time.monotonic() - started, time.process_time() - worked)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


RATIO = 0.5
"""Of igzip's speed, at least."""
PEAK = 200.0
"""Megabytes, at most."""
GROWTH = 15.0
"""Megabytes that the peak may grow when the layer doubles: listings of more files, never contents."""


@dataclass(frozen=True)
class Measured:
    """Our speed as a share of igzip's, and our peak in megabytes."""

    ratio: float
    peak: float


def main() -> int:
    arguments = _arguments()
    if shutil.which("igzip") is None:
        sys.exit("igzip is missing: sudo apt-get install isal")
    found = []
    with tempfile.TemporaryDirectory(prefix="pkgtool-benchmark-") as directory:
        for factor, rounds in ((1, arguments.rounds), (2, 1)):
            place, size = Path(directory, f"large-{factor}"), arguments.size * factor
            write_archive(place, _files_of_this_machine(size * 10**6))
            found.append(_compare(f"{size} MB of /usr", place, rounds))
            shutil.rmtree(place)
        small = Path(directory, "small")
        write_archive(small, _small_files(arguments.files))
        _compare(f"{arguments.files} small files", small, arguments.rounds)
    once, twice = found
    growth = twice.peak - once.peak
    print(f"peak at twice the size: {growth:+.0f} MB")
    held = once.ratio >= RATIO and max(once.peak, twice.peak) < PEAK and growth <= GROWTH
    print(f"at least {RATIO} of igzip's speed, below {PEAK:.0f} MB, no growth: {'yes' if held else 'NO'}")
    return 0 if held else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1000, metavar="MB")
    parser.add_argument("--files", type=int, default=100_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _compare(title: str, place: Path, rounds: int) -> Measured:
    layer, archive = place / "layer.tar", place / "image.tar"
    ours, theirs, peaks, processor = [], [], [], []
    for number in range(rounds):
        theirs.append(_igzip(layer))
        seconds, worked, peak = canonicalised(archive, place / f"store-{number}")
        ours.append(seconds)
        processor.append(worked)
        peaks.append(peak)
    size = layer.stat().st_size / 1e6
    mine, peer = statistics.median(ours), statistics.median(theirs)
    print(f"{title}: a layer of {size:.0f} MB")
    print(f"  canonical {mine:6.2f} s  {size / mine:6.0f} MB/s  (processor {statistics.median(processor):.2f} s)")
    print(f"  igzip -1  {peer:6.2f} s  {size / peer:6.0f} MB/s")
    print(f"  speed, ours to igzip: {peer / mine:.2f}    peak memory: {max(peaks):.0f} MB", flush=True)
    return Measured(peer / mine, max(peaks))


def _igzip(layer: Path) -> float:
    with layer.open("rb") as source:
        while source.read(1 << 20):  # both start with the file in memory
            pass
    started = time.monotonic()
    subprocess.run(["igzip", "-1", "-k", "-c", str(layer)], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def canonicalised(archive: Path, store: Path) -> tuple[float, float, float]:
    """Wall and processor seconds, and megabytes at the peak."""
    with archive.open("rb") as source:
        while source.read(1 << 20):
            pass
    command = [sys.executable, "-c", _OURS, str(archive), str(store)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    times, peak = done.stdout.splitlines()
    seconds, worked = times.split()
    shutil.rmtree(store)
    return float(seconds), float(worked), int(peak) / 1024


def _files_of_this_machine(size: int) -> Iterator[tuple[str, bytes]]:
    """Copies of /usr, one after the other, until there are `size` bytes."""
    number = written = 0
    while True:
        for directory, subdirectories, names in os.walk("/usr"):
            subdirectories.sort()
            for name in sorted(names):
                path = Path(directory, name)
                if path.is_symlink() or not path.is_file():
                    continue
                content = path.read_bytes()[: size - written]
                yield f"{number}{path}", content
                written += len(content)
                if written >= size:
                    return
        number += 1


def _small_files(count: int) -> Iterator[tuple[str, bytes]]:
    """A few kilobytes each, no two the same."""
    for number in range(count):
        line = b"%d is the number of this file, and %x its square\n" % (number, number * number)
        yield f"srv/{number % 317:03}/{number % 11}/file-{number}", line * (1 + number % 60)


def write_archive(place: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """A layer, and the archive that `docker save` would make of an image with that layer."""
    place.mkdir()
    with tarfile.open(place / "layer.tar", "w:") as layer:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1_700_000_000
            layer.addfile(member, io.BytesIO(content))
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers"}}
    config["rootfs"]["diff_ids"] = [f"sha256:{'0' * 64}"]  # type: ignore[index]
    manifest = [{"Config": "config.json", "RepoTags": [], "Layers": ["layer.tar"]}]
    with tarfile.open(place / "image.tar", "w:") as archive:
        archive.add(place / "layer.tar", "layer.tar")
        for name, document in (("config.json", config), ("manifest.json", manifest)):
            content = json.dumps(document).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    sys.exit(main())
