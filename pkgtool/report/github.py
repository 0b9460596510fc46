"""What a job of GitHub Actions sees: groups of lines that fold, annotations at the place of an error.

Both are workflow commands: lines that begin with `::`, wherever a job prints them (docs.github.com, "Workflow commands
for GitHub Actions"). What a build prints must not become one: its lines stand between `::stop-commands::TOKEN` and
`::TOKEN::`, and the token is new each time.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from pkgtool.errors import Location, PkgtoolError, Problems
from pkgtool.events import Event, Note, PlanStarted, StepFinished, StepLog, StepStarted, StepWaiting
from pkgtool.report.text import finished_line

_LOG_LINES = 5000
"""Lines of one step that are kept; of a longer log its end. The whole log is a file."""


def active(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a job of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


class GitHub:
    """A line when a step starts, and when it ends all that it printed, folded; a failed step's log stays open."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._logs: dict[str, deque[str]] = {}
        self._left_out: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        lines = list(self._lines(event))
        if lines:
            print("\n".join(lines), file=self._stream, flush=True)

    def _lines(self, event: Event) -> Iterator[str]:
        match event:
            case PlanStarted(steps, reused) if steps != reused:
                yield f"{steps - reused} of {steps} steps to do"
            case StepStarted(step):
                yield f"{self._clock()} {step}"
            case StepWaiting(step, reason):
                yield f"{self._clock()} {step}: {reason}, waiting"
            case StepLog(step, line):
                self._keep(step, line)
            case StepFinished():
                yield from self._finished(event)
            case Note(level, message) if level == "warning":
                yield command("warning", message)
            case Note(level, message) if level != "debug":
                yield message

    def _keep(self, step: str, line: str) -> None:
        kept = self._logs.setdefault(step, deque(maxlen=_LOG_LINES))
        if len(kept) == _LOG_LINES:
            self._left_out[step] = self._left_out.get(step, 0) + 1
        kept.append(line)

    def _finished(self, event: StepFinished) -> Iterator[str]:
        title = f"{self._clock()} {finished_line(event)}"
        log = self._logs.pop(event.step, ())
        left_out = self._left_out.pop(event.step, 0)
        if not log:
            yield title
            return
        folded = event.outcome != "failed"
        yield f"::group::{_data(title)}" if folded else title
        if left_out:
            yield f"({left_out} earlier lines are in the step's log file)"
        yield from harmless(log)
        if folded:
            yield "::endgroup::"

    def _clock(self) -> str:
        return f"[{time.monotonic() - self._started:7.1f} s]"


def harmless(lines: deque[str]) -> Iterator[str]:
    """Lines that somebody else wrote, so that none of them is taken for a command."""
    token = secrets.token_hex(16)
    yield f"::stop-commands::{token}"
    yield from lines
    yield f"::{token}::"


def annotated(error: PkgtoolError, root: Path) -> Iterator[str]:
    """An error as annotations, one for each problem, at its file and line. `root` is the root of the tree."""
    if isinstance(error, Problems):
        for problem in error.problems:
            yield from annotated(problem, root)
        return
    hint = [f"hint: {error.hint}"] if error.hint else []
    yield command("error", "\n".join([error.message, *error.details, *hint]), **_place(error.location, root))


def command(name: str, text: str, **properties: str) -> str:
    """A workflow command."""
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{name}{' ' if given else ''}{given}::{_data(text)}"


def _place(where: Location | None, root: Path) -> dict[str, str]:
    """A place as GitHub wants it: its path starts at the top of the checkout."""
    if where is None:
        return {}
    top = Path(os.environ.get("GITHUB_WORKSPACE") or root)
    file = next((place / where.file for place in (root, Path.cwd()) if (place / where.file).exists()), None)
    shown = file.relative_to(top).as_posix() if file and file.is_relative_to(top) else where.file
    numbers = {"line": where.line, "col": where.column}
    return {"file": shown, **{key: str(number) for key, number in numbers.items() if number}}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
