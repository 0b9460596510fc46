"""Runs the `pkgtool` command: in this process, where that is enough, or as one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkgtool.cli.main import main
from pkgtool.errors import ExitCode

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)

    def ok(self) -> Ended:
        """Itself, if the call succeeded."""
        assert self.code == 0, self.err
        return self


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`pkgtool` on one tree and one store."""

    directory: Path
    store: Path

    def __call__(self, *arguments: str, defect_allowed: bool = False) -> Ended:
        """Run in this process. A defect in pkgtool (exit code 70) fails the test."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([*self._place(arguments), *arguments])
            except SystemExit as end:
                code = int(end.code or 0)
        assert defect_allowed or code != ExitCode.INTERNAL, err.getvalue()
        return Ended(code, out.getvalue(), err.getvalue())

    def start(self, *arguments: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start it as a process of its own, output piped."""
        piped: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(self.command(*arguments), env={**os.environ, **(env or {})}, **piped)

    def run(self, *arguments: str, env: dict[str, str] | None = None, timeout: float = 120, **options: Any) -> Ended:
        """Run it as a process of its own, to its end."""
        with self.start(*arguments, env=env, **options) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return Ended(process.returncode, out or "", err or "")

    def command(self, *arguments: str) -> list[str]:
        """The argument list that starts it."""
        starter = (
            f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from pkgtool.cli.main import entry; sys.exit(entry())"
        )
        return [sys.executable, "-c", starter, *self._place(arguments), *arguments]

    def _place(self, arguments: tuple[str, ...]) -> list[str]:
        place = [] if "-C" in arguments else ["-C", str(self.directory)]
        return place if "--store" in arguments else [*place, "--store", str(self.store)]
