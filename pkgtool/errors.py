"""One root error, and the table of exit codes.

Library code never ends the process and never prints: it raises a `PkgtoolError`, which knows what went
wrong, where (file, line, column), how to get out, and the exit code of its class. `pkgtool.report` turns
it into text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the `pkgtool` command, one per class of error; stable across releases."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    SOURCE = 4
    INPUT = 5
    ENGINE = 6
    BUILD = 7
    STORE = 8
    REGISTRY = 9
    SIGNING = 10
    VERIFICATION = 11
    KERNEL = 12
    INTERNAL = 70
    INTERRUPTED = 130


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "everything asked for is done",
    ExitCode.CHECK_FAILED: "a check said no: a stale lock, a digest that differs, a corrupt blob, missing programs",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.CONFIGURATION: "a file that people write (build.yml, pkgtool.yml, lock, policy) is wrong, or a circle",
    ExitCode.SOURCE: "the git repository is missing, unreadable, or dirty where it must be clean",
    ExitCode.INPUT: "an input could not be fetched, or is not what its lock says",
    ExitCode.ENGINE: "no usable engine or a missing program",
    ExitCode.BUILD: "a build step failed",
    ExitCode.STORE: "the local store is unusable or damaged",
    ExitCode.REGISTRY: "a registry refused, could not answer, or holds other content under the tag",
    ExitCode.SIGNING: "a key is missing or unusable, or a signature could not be made",
    ExitCode.VERIFICATION: "a signature, attestation or policy check refused the artifact",
    ExitCode.KERNEL: "a kernel's configuration, modules or boot test failed",
    ExitCode.INTERNAL: "a defect in pkgtool itself",
    ExitCode.INTERRUPTED: "interrupted by a signal; finished work is kept",
}


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a text file. Lines and columns count from 1; 0 means "the file as a whole"."""

    file: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


class PkgtoolError(Exception):
    """Something a person can act on.

    `message` says what is wrong in one sentence without a full stop, `location` where, `hint` what to do
    about it (preferably a command), `details` are further lines such as the end of a log. The chain of
    causes is Python's own (`raise … from …`).
    """

    exit_code = ExitCode.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        location: Location | None = None,
        hint: str | None = None,
        details: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.hint = hint
        self.details = tuple(details)


class CheckFailed(PkgtoolError):
    """A check that the user asked for has a negative answer."""

    exit_code = ExitCode.CHECK_FAILED


class UsageError(PkgtoolError):
    """The command line can't mean what it says."""

    exit_code = ExitCode.USAGE


class ConfigError(PkgtoolError):
    """A file that people write (build.yml, pkgtool.yml, lock, policy, series) is wrong."""

    exit_code = ExitCode.CONFIGURATION


class SourceError(PkgtoolError):
    """The git repository can't give what is asked of it."""

    exit_code = ExitCode.SOURCE


class InputError(PkgtoolError):
    """An input from outside the tree is missing or is not what its lock says."""

    exit_code = ExitCode.INPUT


class EngineError(PkgtoolError):
    """No engine, or one that can't do what the plan needs."""

    exit_code = ExitCode.ENGINE


class ToolMissing(EngineError):
    """A program that a step needs is not installed."""


class BuildError(PkgtoolError):
    """A build step ran and failed."""

    exit_code = ExitCode.BUILD


class StoreError(PkgtoolError):
    """The local store is unusable or damaged."""

    exit_code = ExitCode.STORE


class RegistryError(PkgtoolError):
    """A registry refused, could not answer, or holds other content than expected."""

    exit_code = ExitCode.REGISTRY


class SigningError(PkgtoolError):
    """A key or signature could not be made or read."""

    exit_code = ExitCode.SIGNING


class VerificationError(PkgtoolError):
    """An artifact was refused: its signatures or attestations don't satisfy the policy."""

    exit_code = ExitCode.VERIFICATION


class KernelError(PkgtoolError):
    """A kernel's configuration, modules or boot test failed."""

    exit_code = ExitCode.KERNEL


class Interrupted(PkgtoolError):
    """The user, or a failure elsewhere in the plan, asked this work to end."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, message: str = "interrupted", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)


class Problems(PkgtoolError):
    """Several errors found in one run, each with its own place; the exit code is the first one's."""

    def __init__(self, problems: Iterable[PkgtoolError]) -> None:
        self.problems = tuple(problems)
        if not self.problems:
            raise ValueError("Problems needs at least one problem")
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count > 1 else ''} found")
        self.exit_code = self.problems[0].exit_code


def raise_all(problems: Iterable[PkgtoolError]) -> None:
    """Raise what was collected: nothing, the single error itself, or `Problems`."""
    found = tuple(problems)
    if len(found) == 1:
        raise found[0]
    if found:
        raise Problems(found)
