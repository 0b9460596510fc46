"""Which line of a Dockerfile a failed build means, from what its engine printed."""

from __future__ import annotations

import re

from pkgtool.engines.dockerfile import Instruction, instructions, original_line
from pkgtool.engines.interface import LineSink
from pkgtool.errors import BuildError, Location

_BUILDKIT = re.compile(r"=> \[(?:\S+ )*?\s*\d+/\d+\] (.*) failed: ", re.DOTALL)
_BUILDAH = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: (.*)", re.DOTALL)
_PARSING = re.compile(r"parse error (?:on |at )?line (\d+)", re.IGNORECASE)


class StepWatcher:
    """Hands lines on, and notes which step was reached (buildah stops there) or failed (BuildKit says so)."""

    def __init__(self, log: LineSink) -> None:
        self._log = log
        self._failed: list[str] = []
        self._reached = ""

    def __call__(self, line: str) -> None:
        self._log(line)
        failed = _BUILDKIT.match(line)
        if failed:
            self._failed.append(failed.group(1))
        reached = _BUILDAH.match(line)
        if reached:
            self._reached = reached.group(1)

    def place(self, failure: BuildError, file: str, text: str, *, declared: int = 1) -> Location | None:
        """Where in `file`, whose content is `text`, the failure is; None if that can't be told.

        `declared` is how many arguments were declared in it for the engine.
        """
        known = list(instructions(text))
        lines = (_line(known, step) for step in (*self._failed, self._reached) if step)
        parsing = _PARSING.search(failure.message)
        line = next(filter(None, lines), 0)
        if parsing and not line:
            line = original_line(text, int(parsing.group(1)), declared=declared)
        content = text.splitlines()
        return Location(file, line, 1, content[line - 1]) if 0 < line <= len(content) else None


def _line(known: list[Instruction], step: str) -> int:
    """The line of an instruction as an engine shows it: flags and spaces may differ, the arguments don't."""
    wanted = _plain(step)
    for instruction in reversed(known):
        if _plain(f"{instruction.keyword} {instruction.value}") == wanted:
            return instruction.first_line
    return 0


def _plain(step: str) -> str:
    keyword, _, rest = step.partition(" ")
    words = rest.split()
    while words and words[0].startswith("--"):
        words.pop(0)
    return f"{keyword.upper()} {' '.join(words)}"
