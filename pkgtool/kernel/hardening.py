"""kernel-hardening-checker's opinion of a configuration, less what we decided otherwise and wrote down why.

The checker (github.com/a13xp0p0v/kernel-hardening-checker) is no Debian or PyPI package, so no build depends on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkgtool import process, programs
from pkgtool.errors import ConfigError, KernelError, Location, ToolMissing

PROGRAM = "kernel-hardening-checker"
ALLOWED = "kernel/config/hardening-allowed.txt"
_LINE = re.compile(r"(CONFIG_\w+)\s+(\S.*)\Z")


@dataclass(frozen=True, slots=True)
class Weakness:
    """An option that is not as the checker wants it."""

    option: str
    wanted: str
    result: str

    def __str__(self) -> str:
        return f"{self.option} should be {self.wanted}: {self.result}"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What is left of the checker's findings, and entries of the allow list that no finding needs."""

    weaknesses: tuple[Weakness, ...]
    allowed: tuple[Weakness, ...]
    idle: tuple[str, ...]


def require() -> None:
    """Raise `ToolMissing` if the checker is not installed."""
    if programs.find(PROGRAM) is None:
        raise ToolMissing(
            f"{PROGRAM} is not installed: it judges a kernel's configuration",
            hint=f"git clone https://github.com/a13xp0p0v/{PROGRAM}, and put its bin/ on PATH",
        )


def check(config: Path, allowed: Mapping[str, str]) -> Opinion:
    """Run the checker on a .config. Raises `ToolMissing`, `KernelError` if its answer can't be read."""
    done = process.run([PROGRAM, "-c", str(config), "-m", "json"], why="judge a configuration", accept=(0, 1))
    try:
        findings = [found for entry in json.loads(done.output) if (found := _weakness(entry))]
    except (ValueError, KeyError, IndexError, TypeError) as problem:
        raise KernelError(f"{PROGRAM} gave an answer that can't be read: {problem}") from problem
    return judge(findings, allowed)


def judge(findings: list[Weakness], allowed: Mapping[str, str]) -> Opinion:
    """Findings against the allow list."""
    return Opinion(
        tuple(f for f in findings if f.option not in allowed),
        tuple(f for f in findings if f.option in allowed),
        tuple(sorted(allowed.keys() - {f.option for f in findings})),
    )


def read_allowed(text: str, file: str = ALLOWED) -> dict[str, str]:
    """The allow list: one `CONFIG_NAME reason` a line. Raises `ConfigError` for an entry without a reason."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line.strip())
        if not match or match[1] in found:
            raise ConfigError(
                "an entry is CONFIG_NAME and the reason why it stays as it is, once",
                location=Location(file, number, 1, line),
            )
        found[match[1]] = match[2]
    return found


def _weakness(entry: Any) -> Weakness | None:
    """One result; older versions print a list of fields, newer ones an object."""
    if isinstance(entry, dict):
        option, wanted, result = entry["option_name"], entry["desired_val"], entry["check_result"]
    else:
        option, wanted, result = entry[0], entry[2], entry[-1]
    failed = str(option).startswith("CONFIG_") and not str(result).startswith("OK")
    return Weakness(str(option), str(wanted), str(result)) if failed else None
