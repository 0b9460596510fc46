"""Listeners to events, one for each way of showing progress; all write to standard error."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from pkgtool.errors import PkgtoolError
from pkgtool.events import (
    Event,
    EventBus,
    Note,
    PlanStarted,
    Sink,
    StepActivity,
    StepFinished,
    StepLog,
    StepProgress,
    StepStarted,
    StepWaiting,
    ignore,
)
from pkgtool.report import github
from pkgtool.report.text import duration, finished_line, size

if TYPE_CHECKING:
    from rich.live import Live

_ACTIVITY_SECONDS = 30
MODES = ("auto", "tty", "plain", "json", "github", "quiet")


def sink_for(mode: str, *, verbosity: int = 0, stream: TextIO | None = None) -> Sink:
    """The listener for a `--progress` mode; `auto` is tty on a terminal, github in its jobs, and plain elsewhere.

    It may be called by several threads.
    """
    out = stream or sys.stderr
    if mode == "auto":
        mode = "tty" if out.isatty() else "github" if github.active() else "plain"
    return ignore if mode == "quiet" else EventBus(_listener(mode, out, verbosity))


def _listener(mode: str, out: TextIO, verbosity: int) -> Sink:
    if mode == "json":
        return JsonLines(out)
    if mode == "github":
        return github.GitHub(out)
    return Terminal(out) if mode == "tty" and not verbosity else Plain(out, verbosity)


class Plain:
    """One line per thing that happened: for logs. With verbosity, also what the steps print."""

    def __init__(self, stream: TextIO, verbosity: int) -> None:
        self._stream = stream
        self._verbosity = verbosity
        self._started = time.monotonic()
        self._titles: dict[str, str] = {}
        self._activities: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        line = self._line(event)
        if line:
            print(line, file=self._stream, flush=True)

    def _line(self, event: Event) -> str:
        match event:
            case PlanStarted(steps, reused):
                return "" if steps == reused else f"{steps - reused} of {steps} steps to do"
            case StepStarted(step, title):
                self._titles[step] = title
                self._activities[step] = time.monotonic()
                return f"{self._clock()} {step}"
            case StepWaiting(step, reason):
                return f"{self._clock()} {step}: {reason}, waiting"
            case StepActivity(step, text) if self._is_due(step):
                return f"{self._clock()} {step}: {text}"
            case StepProgress(step, done, total, unit) if self._is_due(step):
                return f"{self._clock()} {step}: {_amount(done, total, unit)}"
            case StepLog(step, line) if self._verbosity:
                return f"{self._titles.get(step, step)} | {line}"
            case StepFinished():
                return f"{self._clock()} {finished_line(event)}"
            case Note(level, message) if level != "debug" or self._verbosity > 1:
                return f"{level}: {message}" if level != "info" else message
        return ""

    def _is_due(self, step: str) -> bool:
        """Now and then is enough for a log."""
        now = time.monotonic()
        if now - self._activities.get(step, self._started) < _ACTIVITY_SECONDS:
            return False
        self._activities[step] = now
        return True

    def _clock(self) -> str:
        return f"[{time.monotonic() - self._started:7.1f} s]"


class JsonLines:
    """Every event as a JSON object on a line of its own, with its time in seconds since 1970."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        document = {"event": type(event).__name__, "time": round(time.time(), 3)}
        document.update({f.name: _plain(getattr(event, f.name)) for f in dataclasses.fields(event)})
        print(json.dumps(document), file=self._stream, flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, PkgtoolError):
        return {"message": value.message, "hint": value.hint, "exitCode": int(value.exit_code)}
    return value


class Terminal:
    """The running steps with their last line, redrawn in place; finished ones scroll up."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False, markup=False)
        self._live: Live | None = None
        self._running: dict[str, tuple[float, str]] = {}
        self._active: set[str] = set()
        self._left = 0

    def __call__(self, event: Event) -> None:
        match event:
            case PlanStarted(steps, reused):
                self._left = steps - reused
            case StepStarted(step):
                self._running[step] = (time.monotonic(), "")
            case StepWaiting(step, text):
                self._say(step, text)
            case StepLog(step, text) if step not in self._active:
                self._say(step, text)
            case StepActivity(step, text):
                self._active.add(step)
                self._say(step, text)
            case StepProgress(step, done, total, unit):
                self._say(step, _amount(done, total, unit))
            case StepFinished(step):
                self._running.pop(step, None)
                self._left -= 1
                self._console.print(finished_line(event))
            case Note(level, message) if level != "debug":
                self._console.print(f"{level}: {message}" if level != "info" else message)
        self._draw()

    def _say(self, step: str, text: str) -> None:
        if step in self._running:
            self._running[step] = (self._running[step][0], text)

    def _draw(self) -> None:
        from rich.live import Live

        if self._running and self._live is None:
            self._live = Live(self, console=self._console, transient=True, refresh_per_second=8)
            self._live.start()
        elif not self._running and self._live is not None:
            self._live.stop()
            self._live = None

    def __rich__(self) -> Any:
        from rich.text import Text

        width = self._console.width
        now = time.monotonic()
        lines = [f"{duration(now - began):>8}  {step}  {text}" for step, (began, text) in self._running.items()]
        lines.append(f"{self._left} steps to go")
        return Text("\n".join(line[: width - 1] for line in lines), no_wrap=True)


def _amount(done: int, total: int, unit: str) -> str:
    if unit == "bytes":
        return f"{size(done)} of {size(total)}" if total else size(done)
    return f"{done} of {total} {unit}" if total else f"{done} {unit}"
