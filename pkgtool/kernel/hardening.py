"""kernel-hardening-checker's opinion of a configuration, less what we decided otherwise and wrote down why.

The checker (github.com/a13xp0p0v/kernel-hardening-checker) is no Debian or PyPI package, so no build depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkgtool import process, programs
from pkgtool.config import typed
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError, KernelError, ToolMissing, raise_all
from pkgtool.kernel.schema import AllowedFile, AllowedGroup

PROGRAM = "kernel-hardening-checker"
ALLOWED = "kernel/hardening.yml"


@dataclass(frozen=True, slots=True)
class Judged:
    """Which kernel a configuration is of: groups of the allow list may be for some only."""

    series: str
    variant: str
    arch: str


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
        said = done.errors.decode("utf-8", "replace").strip().splitlines()
        raise KernelError(f"{PROGRAM} gave an answer that can't be read: {problem}", details=said) from problem
    return judge(findings, allowed)


def judge(findings: list[Weakness], allowed: Mapping[str, str]) -> Opinion:
    """Findings against the allow list."""
    return Opinion(
        tuple(f for f in findings if f.option not in allowed),
        tuple(f for f in findings if f.option in allowed),
        tuple(sorted(allowed.keys() - {f.option for f in findings})),
    )


def read_allowed(source: Source, kernel: Judged) -> dict[str, str]:
    """The entries of the allow list that count for a kernel, option → reason. Raises `ConfigError` or `Problems`."""
    schema, problems = typed.read(source, AllowedFile)
    raise_all(problems)
    assert schema is not None
    found: dict[str, str] = {}
    for number, group in enumerate(schema.allowed):
        if not _counts(group, kernel):
            continue
        for position, option in enumerate(group.options):
            if option in found:
                at = locate(source, ("allowed", number, "options", position))
                raise ConfigError(f"{option} has a reason already: {found[option]}", location=at)
            found[option] = group.reason
    return found


def _counts(group: AllowedGroup, kernel: Judged) -> bool:
    series = _numbers(kernel.series)
    return (
        (not group.variants or kernel.variant in group.variants)
        and (not group.platforms or kernel.arch in group.platforms)
        and (not group.since or series >= _numbers(group.since))
        and (not group.until or series <= _numbers(group.until))
    )


def _numbers(series: str) -> tuple[int, ...]:
    return tuple(int(part) for part in series.split("."))


def _weakness(entry: Any) -> Weakness | None:
    """One result; older versions print a list of fields, newer ones an object."""
    if isinstance(entry, dict):
        option, wanted, result = entry["option_name"], entry["desired_val"], entry["check_result"]
    else:
        option, wanted, result = entry[0], entry[2], entry[-1]
    failed = str(option).startswith("CONFIG_") and not str(result).startswith("OK")
    return Weakness(str(option), str(wanted), str(result)) if failed else None
