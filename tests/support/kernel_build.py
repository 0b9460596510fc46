"""A real, small kernel for integration tests: Debian's linux-source built by the recipe's own script.

PKGTOOL_TEST_KERNEL names a directory to keep the source, the build and the compiler cache in, so that a second run is
quick; by default all of it lies in pytest's temporary directory.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pkgtool.http import client
from pkgtool.kernel.series import Series
from tests.support.kernel import ROOT, KeyPair

EPOCH = 1577836800


@dataclass(frozen=True)
class BuiltKernel:
    output: Path
    pair: KeyPair

    @property
    def kernel(self) -> Path:
        return self.output / "kernel"


def fetch_source(series: Series, directory: Path) -> Path:
    """The pinned source of a series, checked, kept in a directory."""
    release = series.release()
    target = directory / release.file_name
    if not target.exists():
        directory.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        with client() as http, http.stream("GET", release.url) as response, partial.open("wb") as file:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                file.write(chunk)
        partial.rename(target)
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == release.sha256.hex
    return target


def build(series: Series, variant: str, source: Path, pair: KeyPair, scratch: Path, **more: str) -> Path:
    """Run kernel/build/build.sh; the directory with its output."""
    output = scratch / "out"
    settings: Mapping[str, str] = {
        "KERNEL_SOURCE": str(source),
        "KERNEL_VERSION": series.version,
        "KERNEL_FRAGMENTS": " ".join(series.fragments(variant)),
        "KERNEL_CERTIFICATE": str(pair.certificate),
        "KERNEL_ARCH": "amd64",
        "KERNEL_COMPILER": series.compiler,
        "KERNEL_WORK": str(scratch / "work"),
        "KERNEL_OUTPUT": str(output),
        "SOURCE_DATE_EPOCH": str(EPOCH),
        "KERNEL_CONTEXT": str(ROOT / "kernel"),
        **more,
    }
    log = scratch / "log"
    scratch.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        done = subprocess.run(
            ["sh", ROOT / "kernel/build/build.sh"], env={**os.environ, **settings}, stdout=file, stderr=file
        )
    assert done.returncode == 0, log.read_text(errors="replace")[-3000:]
    return output
