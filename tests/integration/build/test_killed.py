"""A build that is killed at any moment leaves a store in which nothing is wrong, and the next build goes on."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.remote import tree as trees

pytestmark = [pytest.mark.engine, pytest.mark.slow]

KILLS = 20


def test_killed_at_twenty_random_moments(tmp_path: Path) -> None:
    seed = int(os.environ.get("PKGTOOL_TESTS_SEED") or random.randrange(1 << 32))
    print(f"PKGTOOL_TESTS_SEED={seed}")
    chance = random.Random(seed)
    tree = trees.make(tmp_path / "tree", leaves=3)
    pkgtool = CommandLine(tree, tmp_path / "store")
    began = time.monotonic()
    assert pkgtool.run("build", "--engine", "buildah").ok()
    whole = time.monotonic() - began
    killed = 0
    for number in range(KILLS):
        # What is built is built anew, so that every run has work until its end.
        (tree / "pkg" / "base" / "content").write_text(f"{number}\n")
        with pkgtool.start("build", "--engine", "buildah", start_new_session=True) as build:
            time.sleep(chance.uniform(0, min(whole, 2.5)))
            killed += build.poll() is None
            build.kill()
            build.communicate()
        verified = pkgtool("store", "verify")
        assert verified.code == 0, (number, verified)
    assert killed > KILLS / 2
    wait_until_gone(pkgtool.store)
    finished = pkgtool.run("build", "--engine", "buildah", "--json").ok().json
    assert len(finished["images"]) == 4
    assert pkgtool("store", "verify").code == 0
    assert list((pkgtool.store / "pkgtool" / "tmp").iterdir()) == []
    assert {path.name for path in pkgtool.store.iterdir()} == {"blobs", "index.json", "oci-layout", "pkgtool"}


def wait_until_gone(store: Path) -> None:
    """No program that works for that store is left; the kernel ends them with their parent."""
    for _ in range(200):
        left = [place for place in Path("/proc").glob("[0-9]*") if _names(place, str(store))]
        if not left:
            return
        time.sleep(0.05)
    raise AssertionError(left)


def _names(place: Path, text: str) -> bool:
    try:
        return place.name != str(os.getpid()) and text.encode() in (place / "cmdline").read_bytes()
    except OSError:
        return False


def test_who_waits_for_a_killed_build_builds_itself(tmp_path: Path) -> None:
    """Two builds share a store, and the one that works is killed."""
    tree = trees.make(tmp_path / "tree", leaves=1, seconds=2.0)
    pkgtool = CommandLine(tree, tmp_path / "store")
    with pkgtool.start("build", "--engine", "buildah") as first:
        lock = pkgtool.store / "pkgtool" / "locks"
        while not list(lock.glob("build-*")):
            time.sleep(0.02)
        with pkgtool.start("build", "--engine", "buildah", "--json") as second:
            time.sleep(1)
            first.send_signal(signal.SIGKILL)
            first.communicate()
            out, err = second.communicate(timeout=120)
            assert second.returncode == 0, err
            assert '"built"' in out
    assert pkgtool("store", "verify").code == 0
