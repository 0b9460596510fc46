"""What a person sees of a build that fails or is ended, and what is kept. With buildah, as a machine without engine."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from tests.support.command_line import CommandLine
from tests.support.engine_builds import BUSYBOX
from tests.support.processes import command_lines
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.engine]

ON_BASE = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
NEEDS_BASE = "depends:\n  packages: [base]\n"


@pytest.fixture
def based(tree: TreeBuilder) -> TreeBuilder:
    """A tree with a package that has a shell."""
    busybox = Path("/bin/busybox" if Path("/bin/busybox").exists() else "/usr/bin/busybox").read_bytes()
    tree.package("base", dockerfile=BUSYBOX, files={"busybox": busybox})
    return tree


def outcomes(images: list[dict[str, str]]) -> dict[str, str]:
    return {image["package"]: image["result"] for image in images}


def test_a_failed_step_says_all_that_is_needed(based: TreeBuilder, pkgtool: CommandLine) -> None:
    script = "RUN for i in $(seq 1 40); do echo line $i; done; echo the compiler says no >&2; exit 7\n"
    based.package("broken", NEEDS_BASE, dockerfile=ON_BASE + script)
    based.package("on-it", "depends:\n  packages: [broken]\n", dockerfile="ARG BROKEN_IMAGE\nFROM ${BROKEN_IMAGE}\n")
    based.package("on-that", "depends:\n  packages: [on-it]\n", dockerfile="ARG ON_IT_IMAGE\nFROM ${ON_IT_IMAGE}\n")
    based.package("other", NEEDS_BASE, dockerfile=ON_BASE + "RUN echo fine > /fine\n")
    based.commit()
    ended = pkgtool.run("build", "--engine", "buildah", "--keep-going", "--json")
    assert ended.code == ExitCode.BUILD
    results = outcomes(ended.json["images"])
    assert results == {"base": "built", "broken": "failed", "on-it": "blocked", "on-that": "blocked", "other": "built"}

    said = ended.err[ended.err.index("error: ") :]
    assert said.startswith("error: broken linux/amd64 could not be built: ")
    assert "  --> pkg/broken/Dockerfile:3:1\n" in said
    printed = [line.removeprefix("  | ") for line in said.splitlines() if line.startswith("  | ")]
    assert "the compiler says no" in printed
    assert "line 40" in printed
    assert "line 1" not in printed, "only the last lines"
    assert "could not be built because of it: on-it linux/amd64, on-that linux/amd64" in said
    log = re.search(r"^  log: (.*)$", said, re.MULTILINE)
    assert log
    assert "line 1\n" in Path(log.group(1)).read_text()

    # The command repeats that step, and nothing else.
    hint = re.search(r"^hint: to repeat this step alone: pkgtool (.*)$", said, re.MULTILINE)
    assert hint
    again = subprocess.run(
        [Path(sys.executable).parent / "pkgtool", *shlex.split(hint.group(1)), "--json"], capture_output=True, text=True
    )
    assert again.returncode == ExitCode.BUILD, again.stderr
    assert "the compiler says no" in again.stderr
    assert '"result": "failed"' in again.stdout
    assert '"result": "built"' not in again.stdout


def test_without_keep_going_nothing_new_is_started(based: TreeBuilder, pkgtool: CommandLine) -> None:
    based.package("a", NEEDS_BASE, dockerfile=ON_BASE + "RUN exit 1\n")
    based.package("b", NEEDS_BASE, dockerfile=ON_BASE + "RUN true\n")
    based.commit()
    ended = pkgtool.run("build", "--engine", "buildah", "--jobs", "1", "--json")
    assert ended.code == ExitCode.BUILD
    assert outcomes(ended.json["images"]) == {"base": "built", "a": "failed", "b": "cancelled"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_children_and_keeps_what_is_finished(
    based: TreeBuilder, pkgtool: CommandLine, number: signal.Signals
) -> None:
    marker = 4000 + number
    based.package("slow", NEEDS_BASE, dockerfile=ON_BASE + f"RUN echo now; sleep {marker}\n")
    based.commit()
    with pkgtool.start("build", "--engine", "buildah", "--progress", "plain", "-v", "--json") as build:
        assert build.stderr
        for line in build.stderr:
            if line.rstrip().endswith("now") and "RUN" not in line:
                break
        asked = time.monotonic()
        build.send_signal(number)
        out, err = build.communicate(timeout=60)
    assert build.returncode == ExitCode.INTERRUPTED, err
    assert time.monotonic() - asked < 30
    assert "Traceback" not in err
    assert "what is finished is kept" in err
    assert processes(f"sleep\0{marker}") == []
    assert processes(str(pkgtool.store)) == []
    assert pkgtool("store", "verify").code == 0
    assert outcomes(json.loads(out)["images"]) == {"base": "built", "slow": "cancelled"}
    step = next(step for step in pkgtool("plan", "--json").json["steps"] if step["id"].startswith("build base"))
    assert step["done"]


def processes(text: str) -> list[str]:
    """Command lines that hold `text`, of processes other than this one; those that are ending are given a moment."""
    for _ in range(100):
        found = [line for line in (line.decode("utf-8", "replace") for line in command_lines()) if text in line]
        if not found:
            return []
        time.sleep(0.05)
    return found


def test_two_builds_at_once_build_once(based: TreeBuilder, pkgtool: CommandLine) -> None:
    based.package("slow", NEEDS_BASE, dockerfile=ON_BASE + "RUN sleep 2; cat /proc/sys/kernel/random/uuid > /id\n")
    based.commit()
    command = ("build", "--engine", "buildah", "--json", "--progress", "plain")
    with pkgtool.start(*command) as first, pkgtool.start(*command) as second:
        ended = [process.communicate(timeout=120) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), ended
    found = [json.loads(out)["images"] for out, _ in ended]
    for package in ("base", "slow"):
        both = [next(image for image in images if image["package"] == package) for images in found]
        assert sorted(image["result"] for image in both) == ["built", "reused"]
        assert both[0]["digest"] == both[1]["digest"]
    assert any("another pkgtool builds it" in err for _, err in ended)
    assert pkgtool("store", "verify").code == 0
