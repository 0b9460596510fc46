"""Memory for a layer's contents does not grow with the layer; the benchmark `canonical` shows it for gigabytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.canonical import canonicalised, write_archive


def _files(megabytes: int) -> Iterator[tuple[str, bytes]]:
    content = random.Random(3).randbytes(10**6)
    for number in range(megabytes):
        yield f"srv/{number}", content[number:] + content[:number]


def test_four_times_the_layer_is_the_same_peak(tmp_path: Path) -> None:
    peaks = []
    for megabytes in (50, 200):
        write_archive(tmp_path / str(megabytes), _files(megabytes))
        _, _, peak = canonicalised(tmp_path / str(megabytes) / "image.tar", tmp_path / "store")
        peaks.append(peak)
    assert max(peaks) < 100
    assert peaks[1] - peaks[0] < 10
