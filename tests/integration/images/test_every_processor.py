"""A layer is the same bytes whichever processor compressed it: old and new x86-64 ones, and arm64."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import sid_tools
from tests.support.compressed_sample import DIGEST

PROJECT = Path(__file__).parents[3]
PROGRAM = [str(PROJECT / "tests" / "support" / "compressed_sample.py")]


def digest(python: list[str], **environment: str) -> str:
    done = subprocess.run(
        [*python, *PROGRAM], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("processor", ["core2duo", "Nehalem", "Haswell"])
def test_generations_of_x86(processor: str) -> None:
    """Each of them has instructions that the one before did not have, which compressors like to use."""
    emulated = ["qemu-x86_64-static", "-cpu", processor, sys.executable]
    assert digest(emulated, PYTHONPATH=str(PROJECT)) == DIGEST


@pytest.mark.network
def test_arm64(tmp_path: Path) -> None:
    python = sid_tools.program("python3", arch="arm64")
    library = _wheel("deflate", "manylinux_2_28_aarch64", tmp_path)
    home = sid_tools.unpacked("python3", arch="arm64") / "usr"
    assert digest([python], PYTHONHOME=str(home), PYTHONPATH=f"{PROJECT}:{library}") == DIGEST


def _wheel(name: str, platform: str, place: Path) -> Path:
    """The pinned library, as it is installed on another platform."""
    text = (PROJECT / "requirements" / "run.txt").read_text()
    pinned = text[text.index(f"\n{name}==") :].partition("    # via")[0].rstrip()
    (place / "wanted.txt").write_text(f"{pinned}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    chosen = ["--platform", platform, "--require-hashes", "--dest", str(place), "-r", str(place / "wanted.txt")]
    subprocess.run([*command, *chosen], check=True)
    (found,) = place.glob("*.whl")
    with zipfile.ZipFile(found) as wheel:
        wheel.extractall(place / name)
    return place / name
