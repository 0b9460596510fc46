#!/usr/bin/env python3
"""A kernel built clean, and again with one symbol of its configuration changed and a warm compiler cache.

    benchmarks/kernel_rebuild.py [--keep DIR]

The engine is the one that pkgtool chooses (DOCKER_HOST leads to a Docker engine). The tree is a copy at another place,
whose recipe names a compiler cache of its own, so the first build is a clean one. Prints times in seconds, and what
must hold: the second takes at most 1/3 of the first. Then the files of the first build are compared with those of the
project's own kernel, if the store has it: another place, another time, perhaps another engine, a cold cache.

The processor time of both is printed as well, which other work on the machine changes less; not of an engine that is a
daemon (Docker), whose work can't be counted.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.built_kernel import DEVELOPMENT, NAME, SERIES, image_of
from tests.support.command_line import PROJECT, CommandLine
from tests.support.project_store import project
from tests.support.tree import TreeBuilder

_CACHE = "pkgtool-ccache"
_COMPARED = ("kernel", "System.map", "kernel.tar", "kernel-dev.tar", "kernel-headers.tar", "kernel-config")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the tree is made, and left (default: nowhere)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pkgtool-benchmark-") as directory:
        return measure((options.keep or Path(directory)) / "tree")


def measure(root: Path) -> int:
    tree, pkgtool = copy_of_the_project(root), CommandLine(root, project().store)
    clean = build(pkgtool)
    compare(pkgtool)
    fragment = root / "kernel/config/small.config"
    fragment.write_text(fragment.read_text() + "CONFIG_DUMMY=m\n")
    tree.commit()
    warm = build(pkgtool)
    ratio = warm.clock / clean.clock
    print(
        f"clean: {clean.clock:.0f} s; one symbol more, warm cache: {warm.clock:.0f} s; ratio {ratio:.2f} (at most 0.33)"
    )
    if clean.processor > clean.clock / 2:  # else the work was a daemon's, which is not counted here
        part = warm.processor / clean.processor
        print(f"processor time: {clean.processor:.0f} s; {warm.processor:.0f} s; ratio {part:.2f}")
    return 0 if ratio <= 1 / 3 else 1


def copy_of_the_project(root: Path) -> TreeBuilder:
    """What kernels need of the tree, with a compiler cache that nobody has used."""
    builder = TreeBuilder(root).init()
    builder.git("config", "user.name", "benchmark")
    builder.git("config", "user.email", "benchmark@example.com")
    for part in ("kernel", "pkg/base", "pkg/kernel-build", DEVELOPMENT):
        shutil.copytree(PROJECT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    shutil.copy(PROJECT / "pkgtool.yml", root)
    recipe = root / "kernel/build/Dockerfile"
    text = recipe.read_text()
    assert f"id={_CACHE}," in text
    recipe.write_text(text.replace(f"id={_CACHE},", f"id={_CACHE}-{secrets.token_hex(4)},"))
    builder.commit()
    return builder


@dataclass(frozen=True)
class Seconds:
    """How long something took by the clock, and of processors."""

    clock: float
    processor: float


def build(pkgtool: CommandLine) -> Seconds:
    """The time of building the small kernel and signing its modules; its tools are there before the clock starts."""
    pkgtool.run("build", "kernel-build", timeout=3600).ok()
    pkgtool.run("fetch", f"{NAME}-unsigned", timeout=3600).ok()
    started, used = time.monotonic(), processor_time()
    pkgtool.run("kernel", "build", SERIES, timeout=7200).ok()
    return Seconds(time.monotonic() - started, processor_time() - used)


def processor_time() -> float:
    """Seconds of the children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(pkgtool: CommandLine) -> None:
    """Print whether the files are those of the project's own kernel, before and after signing."""
    for name in (f"{NAME}-unsigned", NAME):
        try:
            ours = image_of(project(), name)
        except AssertionError:
            print(f"{name}: the store has none of this tree to compare with")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            mine, theirs = image_of(pkgtool, name).unpack(Path(scratch) / "a"), ours.unpack(Path(scratch) / "b")
            for file in _COMPARED:
                one, other = digest(mine / file), digest(theirs / file)
                print(f"{name} {file}: {'the same' if one == other else 'DIFFERENT'} sha256 {one[:16]} {other[:16]}")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
