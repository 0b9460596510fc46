"""`direct` in GOPROXY: a module from its origin, through the go command, where that is installed."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pkgtool import process, programs
from pkgtool.inputs.transfer import Attempt, Temporary, Unusable
from pkgtool.oci.files import CHUNK


def from_go_command(attempt: Attempt) -> None:
    """Let `go mod download` bring `go+direct:MODULE@VERSION?zip` or `…?mod`."""
    parts = urlsplit(attempt.url)
    if programs.find("go") is None:
        raise Unusable("the go command, which asks a module's origin, is not installed")
    with attempt.store.scratch("go") as scratch:
        done = process.run(
            ["go", "mod", "download", "-json", unquote(parts.path)],
            why="fetch Go modules from their origin",
            cwd=str(scratch),
            env={
                "GOPROXY": "direct",
                "GOMODCACHE": str(scratch / "modules"),
                "GOCACHE": str(scratch / "cache"),
                "GOFLAGS": "-modcacherw",
                "GOSUMDB": "off",  # go.sum and the lock say what is right
                "GOTOOLCHAIN": "local",
                "GIT_TERMINAL_PROMPT": "0",
            },
            accept=(0, 1),
            cancel=attempt.cancel,
        )
        _copy(done, "GoMod" if parts.query == "mod" else "Zip", attempt)


def _copy(done: process.Completed, field: str, attempt: Attempt) -> None:
    try:
        answer = json.loads(done.output or b"{}")
    except ValueError as error:
        raise Unusable("the go command gave no answer") from error
    if field not in answer:
        told = str(answer.get("Error", "")) or done.errors.decode("utf-8", "replace")
        raise Temporary("the go command failed: " + " ".join(told.split())[:300])
    attempt.partial.restart()
    with Path(answer[field]).open("rb") as file:
        while chunk := file.read(CHUNK):
            attempt.receive(chunk)
