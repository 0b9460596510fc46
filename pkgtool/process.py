"""The one place that starts a program.

Every child gets a scrubbed environment (a short allow list, `LC_ALL=C.UTF-8`), a closed standard input unless
one is given, and a process group of its own, so that Ctrl-C reaches pkgtool first and pkgtool then ends its
children in order. A failure is raised once, with the end of what was printed and a command line that can be
pasted; arguments never hold secrets, so they may be shown.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Self

from pkgtool import programs
from pkgtool.cancel import Cancellation
from pkgtool.errors import BuildError, Interrupted, PkgtoolError, ToolMissing

_INHERITED = frozenset(
    "PATH HOME USER LOGNAME TMPDIR XDG_RUNTIME_DIR XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME "
    "HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy "
    "SSL_CERT_FILE SSL_CERT_DIR GIT_SSL_CAINFO CURL_CA_BUNDLE REQUESTS_CA_BUNDLE "
    "DOCKER_HOST DOCKER_CONFIG DOCKER_CONTEXT DOCKER_CERT_PATH DOCKER_TLS_VERIFY SSH_AUTH_SOCK KUBECONFIG "
    "GOPROXY GOSUMDB GONOSUMDB GONOSUMCHECK GOFLAGS GOPRIVATE GOTOOLCHAIN".split()
)
_TAIL_LINES = 20
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended. `output` is standard output (with `on_line`: nothing, it went there)."""

    argv: tuple[str, ...]
    returncode: int
    output: bytes
    errors: bytes
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as text without the final newline; undecodable bytes are kept as surrogates."""
        return self.output.decode("utf-8", "surrogateescape").rstrip("\n")


class ProcessFailed(BuildError):
    """A program ended with a status that was not expected."""

    def __init__(self, message: str, *, returncode: int, details: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, details=details, hint=hint)
        self.returncode = returncode


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: the allow list, a fixed locale, then `extra`."""
    kept = {name: value for name, value in os.environ.items() if name in _INHERITED}
    kept["PATH"] = programs.search_path()
    kept["LC_ALL"] = "C.UTF-8"
    kept.update(extra or {})
    return kept


def pasteable(argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """A shell line that repeats a call."""
    prefix = [f"{name}={shlex.quote(value)}" for name, value in sorted((env or {}).items())]
    line = " ".join([*prefix, shlex.join(argv)])
    return f"cd {shlex.quote(cwd)} && {line}" if cwd else line


def run(
    argv: Sequence[str],
    *,
    why: str,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | IO[bytes] | None = None,
    on_line: Callable[[str], None] | None = None,
    accept: Sequence[int] = (0,),
    timeout: float | None = None,
    cancel: Cancellation | None = None,
    die_with_parent: bool = False,
) -> Completed:
    """Run a program to its end.

    `why` completes the sentence "git is needed to …" for a missing program. With `on_line`, standard output and
    error are merged and handed over line by line; otherwise both are captured. `timeout` is in seconds.
    `die_with_parent` lets the kernel kill the child if pkgtool itself is killed.

    Raises `ToolMissing` for a missing program, `ProcessFailed` for an exit status outside `accept` (or a
    timeout), `Interrupted` if `cancel` was requested.
    """
    command = [programs.require(argv[0], f"it is needed to {why}"), *argv[1:]]
    if die_with_parent:
        command = [
            programs.require("setpriv", "it ends children together with pkgtool"),
            "--pdeathsig",
            "KILL",
            "--",
            *command,
        ]
    if cancel:
        cancel.check()
    started = time.monotonic()
    try:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if on_line else subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolMissing(f"{argv[0]} could not be started: {error.strerror}") from error
    with _Guard(child, timeout, cancel) as guard:
        output, errors, tail = _collect(child, stdin if isinstance(stdin, bytes) else None, on_line)
    completed = Completed(tuple(argv), child.returncode, output, errors, time.monotonic() - started)
    if cancel and cancel.requested and child.returncode != 0:
        raise Interrupted()
    if child.returncode not in accept or guard.timed_out:
        raise _failure(completed, tail, timeout if guard.timed_out else None, cwd, env)
    return completed


def start(
    argv: Sequence[str], *, why: str, stream: socket.socket, on_complaint: Callable[[str], None]
) -> Callable[[], None]:
    """Start a program whose standard input and output are `stream`, which may be closed here afterwards.

    What it prints to standard error goes to `on_complaint` line by line, from a thread of its own. Returns what ends
    it; it also ends with its stream and with pkgtool. Raises `ToolMissing` for a missing program.
    """
    program = programs.require(argv[0], f"it is needed to {why}")
    guard = programs.require("setpriv", "it ends children together with pkgtool")
    try:
        child = subprocess.Popen(
            [guard, "--pdeathsig", "KILL", "--", program, *argv[1:]],
            env=environment(),
            stdin=stream.fileno(),
            stdout=stream.fileno(),
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolMissing(f"{argv[0]} could not be started: {error.strerror}") from error

    def listen() -> None:
        assert child.stderr is not None
        with child.stderr:
            for raw in child.stderr:
                on_complaint(raw.decode("utf-8", "replace").rstrip("\r\n"))
        child.wait()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()

    def end() -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGTERM)
        listener.join(_GRACE_SECONDS)

    return end


def _collect(
    child: subprocess.Popen[bytes], stdin: bytes | None, on_line: Callable[[str], None] | None
) -> tuple[bytes, bytes, list[str]]:
    if on_line is None:
        output, errors = child.communicate(stdin)
        return output, errors, _last_lines(errors or output)
    feeder = threading.Thread(target=_feed, args=(child, stdin), daemon=True)
    feeder.start()
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    assert child.stdout is not None
    for raw in child.stdout:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        tail.append(line)
        on_line(line)
    child.wait()
    feeder.join()
    return b"", b"", list(tail)


def _feed(child: subprocess.Popen[bytes], content: bytes | None) -> None:
    if child.stdin is None:
        return
    try:
        child.stdin.write(content or b"")
        child.stdin.close()
    except BrokenPipeError:
        pass  # the child ended without reading all of it; its exit status tells the story


def _last_lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]


def _failure(
    completed: Completed, tail: list[str], timeout: float | None, cwd: str | None, env: Mapping[str, str] | None
) -> PkgtoolError:
    program = os.path.basename(completed.argv[0])
    if timeout is not None:
        message = f"{program} did not end within {timeout:g} s"
    elif completed.returncode < 0:
        message = f"{program} was killed by {signal.Signals(-completed.returncode).name}"
    else:
        message = f"{program} failed with exit status {completed.returncode}"
    hint = f"to repeat it: {pasteable(completed.argv, cwd=cwd, env=env)}"
    return ProcessFailed(message, returncode=completed.returncode, details=tail, hint=hint)


class _Guard:
    """Ends the child's whole process group on cancellation, on timeout, and when the block is left early."""

    def __init__(self, child: subprocess.Popen[bytes], timeout: float | None, cancel: Cancellation | None) -> None:
        self._child = child
        self._cancel = cancel
        self._registration = cancel.on_request(self._end) if cancel else None
        self._timer = threading.Timer(timeout, self._expire) if timeout else None
        self.timed_out = False

    def __enter__(self) -> Self:
        if self._registration:
            self._registration.__enter__()
        if self._timer:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._timer:
            self._timer.cancel()
        if self._registration:
            self._registration.__exit__(None, None, None)
        if kind is not None:
            self._end()
            self._child.wait()
        for stream in (self._child.stdout, self._child.stderr):
            if stream:
                stream.close()

    def _expire(self) -> None:
        self.timed_out = True
        self._end()

    def _end(self) -> None:
        self._signal(signal.SIGTERM)
        killer = threading.Timer(_GRACE_SECONDS, self._signal, args=(signal.SIGKILL,))
        killer.daemon = True
        killer.start()

    def _signal(self, number: signal.Signals) -> None:
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, number)
