"""A kernel's configuration: what is asked for, what came out, and how two of them differ.

The work on a tree is done by `kernel/build/configure.py`, the script that the build itself runs, so what is found
here before a build is what the build would find.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkgtool import process
from pkgtool.errors import ConfigError, KernelError, Location, raise_all
from pkgtool.kernel.package import KernelName
from pkgtool.kernel.series import DIRECTORY, Series
from pkgtool.process import Completed
from pkgtool.values import Platform

_ARCHES = {"amd64": ("x86_64", "x86_64-linux-gnu-"), "arm64": ("arm64", "aarch64-linux-gnu-")}


@dataclass(frozen=True, slots=True)
class Asked:
    """A symbol that a fragment asks for, and where. The value is as in .config; `n` is "not set"."""

    symbol: str
    value: str
    location: Location


@dataclass(frozen=True, slots=True)
class Configured:
    """A tree that has the configuration it was asked for: the number of symbols asked for, and the .config."""

    asked: int
    config: str


@dataclass(frozen=True, slots=True)
class Change:
    """One symbol in two configurations; `n` is "not set"."""

    symbol: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"CONFIG_{self.symbol}: {self.before} → {self.after}"


def merged(root: Path, series: Series, kernel: KernelName, platform: Platform) -> tuple[Asked, ...]:
    """What the fragments of a kernel ask for. Needs no kernel source. Raises `ConfigError`, `KernelError`."""
    done = _script(root, series, kernel, platform, ["--merge-only", "--json"])
    return tuple(
        Asked(wish["name"], wish["value"], _location(root, wish["file"], wish["line"]))
        for wish in json.loads(done.output)
    )


def configure(root: Path, series: Series, kernel: KernelName, platform: Platform, linux: Path) -> Configured:
    """Configure the unpacked kernel tree `linux` and insist on the result.

    Raises `KernelError` (several as `Problems`) for each symbol that was asked for and did not survive, with the
    fragment's line and the dependency behind it.
    """
    arch, prefix = _ARCHES[platform.arch]
    compiler = f"{prefix}{series.compiler}"
    variables = (f"ARCH={arch}", f"CROSS_COMPILE={prefix}", f"CC={compiler}", f"HOSTCC={series.compiler}")
    arguments = ["--tree", str(linux), "--json", *(part for pair in variables for part in ("--make", pair))]
    report = json.loads(_script(root, series, kernel, platform, arguments).output)
    raise_all(_lost(root, difference) for difference in report["differences"])
    return Configured(report["asked"], (linux / ".config").read_text())


def parse(text: str) -> dict[str, str]:
    """A .config as symbol → value, without what is not set."""
    pairs = (line.removeprefix("CONFIG_").partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
    return {name: value for name, equals, value in pairs if equals and value != "n"}


def diff(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """What changed between two parsed configurations, by symbol."""
    names = sorted(before.keys() | after.keys())
    changes = (Change(name, before.get(name, "n"), after.get(name, "n")) for name in names)
    return tuple(change for change in changes if change.before != change.after)


def _script(root: Path, series: Series, kernel: KernelName, platform: Platform, arguments: list[str]) -> Completed:
    if platform.arch not in _ARCHES:
        raise KernelError(f"kernels are not built for {platform}", hint=f"known: {', '.join(_ARCHES)}")
    base = root / DIRECTORY
    command = [sys.executable, str(base / "build/configure.py"), "--fragments", str(base / "config")]
    release = series.release(kernel.version).version
    command += ["--release", release, "--platform", platform.arch, *arguments, *series.fragments(kernel.variant)]
    done = process.run(command, why="configure a kernel", accept=(0, 1, 2), env={"PYTHONDONTWRITEBYTECODE": "1"})
    if done.returncode == 2:
        said = done.errors.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise _mistake(root, said[-1].removeprefix("error: "), said[:-1])
    return done


def _mistake(root: Path, message: str, details: list[str]) -> ConfigError:
    """An error of the script, which begins with FILE:LINE where it has a place."""
    place, _, rest = message.partition(": ")
    file, colon, line = place.rpartition(":")
    if colon and line.isdigit():
        return ConfigError(rest, location=_location(root, file, int(line)), details=details)
    return ConfigError(message, details=details)


def _lost(root: Path, difference: Mapping[str, Any]) -> KernelError:
    return KernelError(
        f"CONFIG_{difference['symbol']}={difference['asked']} became {difference['got']}: {difference['reason']}",
        location=_location(root, difference["file"], difference["line"]),
        hint="ask for what it depends on as well, or limit it with `# since`, `# until` or `# only`",
    )


def _location(root: Path, file: str, line: int) -> Location:
    path = Path(file)
    lines = path.read_text().splitlines() if path.is_file() else []
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else file
    return Location(name, line, 1, lines[line - 1] if line <= len(lines) else "")
