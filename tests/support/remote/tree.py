"""A tree of small packages that need nothing from outside: busybox from this machine, and work for a processor.

"linux/arm64" is a name only here: its images hold this machine's busybox, so that their steps run without emulation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_BASE = """\
FROM scratch
COPY --chmod=0755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
"""
_LEAF = """\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
COPY content /content
RUN n=0; while [ $n -lt {turns} ]; do n=$((n+1)); done; echo $n > /turns; sleep {seconds}
"""


def make(root: Path, *, leaves: int, turns: int = 0, seconds: float = 0.0) -> Path:
    """A repository with `base` and so many packages on it; each turns a loop and then sleeps."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is missing: sudo apt-get install busybox-static"
    packages = {"base": (_BASE, "")}
    for number in range(leaves):
        recipe = _LEAF.format(turns=turns, seconds=seconds)
        packages[f"leaf-{number:02}"] = (recipe, "depends:\n  packages: [base]\n")
    for name, (recipe, more) in packages.items():
        place = root / "pkg" / name
        place.mkdir(parents=True)
        (place / "Dockerfile").write_text(recipe)
        (place / "build.yml").write_text(f"image: {name}\narches: [amd64, arm64]\n{more}")
        (place / "content").write_text(f"{name}\n")
    shutil.copy(busybox, root / "pkg" / "base" / "busybox")
    (root / "pkgtool.yml").write_text("org: test\nplatforms: [linux/amd64, linux/arm64]\n")
    for command in ("init --quiet", "add --all", "commit --quiet --message=tree"):
        subprocess.run(["git", *command.split()], cwd=root, env=_environment(), check=True)
    return root


def _environment() -> dict[str, str]:
    person = {"NAME": "Test", "EMAIL": "test@example.com", "DATE": "2024-01-01T00:00:00Z"}
    return {**os.environ, **{f"GIT_{who}_{k}": v for who in ("AUTHOR", "COMMITTER") for k, v in person.items()}}
