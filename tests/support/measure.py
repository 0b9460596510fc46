"""What a command costs: seconds, processor seconds, memory, and the programs that it starts."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_EXEC = re.compile(r'execve\("([^"]+)".* = 0$')


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall time and processor time in seconds (children included), and the peak of memory in bytes."""

    seconds: float
    processor: float
    memory: int


def cost(command: Sequence[str], *, rounds: int = 1) -> Cost:
    """The least of some runs: what else the machine does can only add to it. The command must succeed."""
    found = [_once(command) for _ in range(rounds)]
    return Cost(
        min(one.seconds for one in found), min(one.processor for one in found), min(one.memory for one in found)
    )


def started_programs(command: Sequence[str]) -> Counter[str]:
    """How many processes it became or started, by the program's name (strace sees them all)."""
    with tempfile.TemporaryDirectory() as directory:
        # A file for each process, so that no line is broken by another one's.
        traced = ["strace", "-ff", "--quiet=all", "-e", "trace=execve", "-o", f"{directory}/trace", *command]
        subprocess.run(traced, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines = (line for log in Path(directory).iterdir() for line in log.read_text().splitlines())
        return Counter(Path(found.group(1)).name for line in lines if (found := _EXEC.search(line)))


def _once(command: Sequence[str]) -> Cost:
    """Measured by a small process of its own: a child's peak of memory counts from the fork, so its parent's too."""
    measuring = [sys.executable, "-I", "-S", __file__, *command]
    done = subprocess.run(measuring, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    seconds, processor, memory, code = json.loads(done.stdout)
    assert code == 0, (command, code)
    return Cost(seconds, processor, memory)


def _measure(command: Sequence[str]) -> tuple[float, float, int, int]:
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - started, _processor(used), used.ru_maxrss * 1024, child.returncode


def _processor(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(sys.argv[1:])))
