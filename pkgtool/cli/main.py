"""`pkgtool`: find the command, run it, and turn what it raises into text and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from types import ModuleType

from pkgtool import __version__
from pkgtool.cli import options
from pkgtool.errors import EXIT_CODE_MEANINGS, ExitCode, PkgtoolError, UsageError

COMMANDS = {
    "build": "build packages and what they depend on",
    "push": "publish what the current tags name, building what is missing",
    "pull": "bring published images into the store",
    "manifest": "what is published of packages, per platform",
    "sign": "sign what is published, and attach what is known of it",
    "verify": "verify images by a policy",
    "attest-rebuild": "rebuild what is published, and attest it if it is the same",
    "sbom": "what built packages are made of",
    "provenance": "how built packages were made",
    "kernel": "build, sign, verify and boot Linux kernels",
    "key": "generate and show keys to sign with",
    "release": "point a release tag of every package at its index",
    "promote": "copy a release to another registry",
    "export": "copy a release into a directory or archive",
    "import": "copy an exported release into a registry",
    "lock": "pin the inputs of packages, or check their locks",
    "fetch": "bring locked inputs into the store",
    "plan": "the steps that build would do, and why each",
    "show-tag": "the full reference of packages",
    "list": "the packages of the tree",
    "graph": "the dependency graph",
    "why": "what moved a package's tag",
    "reproduce": "rebuild elsewhere and compare the digests",
    "diff": "what differs between two images",
    "ci": "the jobs of a CI run, and why a package is among them",
    "store": "the local store: path, ls, verify, gc, export",
    "schema": "the JSON schema of build.yml and pkgtool.yml, for editors",
    "doctor": "what is installed, which engine would be used, what is missing",
}

EXAMPLES = """\
examples:
  pkgtool build                              build the whole tree for this machine
  pkgtool build pkg/getty                    build one package and what it depends on
  GOARCH=arm64 pkgtool build pkg/vsudd       build for another architecture
  pkgtool push --registry localhost:5000     publish the tree
  pkgtool why getty --against v1.0           what changed its tag since v1.0
  pkgtool show-tag --json getty              the fingerprint behind a tag
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (see `pkgtool.errors`)."""
    # Nearly all that a run allocates lives to its end: looking for garbage often is time lost.
    gc.set_threshold(50_000, 20, 20)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(given)
        sys.stdout.flush()
    except PkgtoolError as error:
        _show(error, given)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever reads our output has seen enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.OK)
    except Exception as defect:  # noqa: BLE001 - the last line of defence
        return _report_defect(defect, given)
    return int(code)


def entry() -> int:
    """What the installed program calls: `main`, and a quick end, since Python's last clearing up was a tenth of it."""
    code = main()
    # Nothing of all that is left has to be looked through for garbage: the system takes it back at once.
    gc.freeze()
    return code


def _show(error: PkgtoolError, arguments: Sequence[str]) -> None:
    from pkgtool.report import github
    from pkgtool.report.text import error_lines

    lines = list(error_lines(error))
    if github.active():
        lines += github.annotated(error, _root(options.directory(arguments)))
    print("\n".join(lines), file=sys.stderr)  # noqa: T201


def _root(directory: Path) -> Path:
    """The root of the tree, which the places of errors start at."""
    from pkgtool.workflows.tree import find_root

    try:
        return find_root(directory)
    except PkgtoolError:
        return directory


def _dispatch(given: list[str]) -> int:
    position = options.command_position(given)
    if position is None:
        if "--version" in given:
            print(f"pkgtool {__version__}")  # noqa: T201
            return ExitCode.OK
        print(help_text(), end="", file=sys.stdout if given else sys.stderr)
        return ExitCode.OK if {"-h", "--help"} & set(given) else ExitCode.USAGE
    name = given.pop(position)
    if name == "help":
        return _dispatch([*given, "--help"])
    if name not in COMMANDS:
        raise UsageError(f"there is no command {name!r}", hint=_suggestion(name))
    module = load(name)
    parser = options.make_parser(name, module)
    # Options may stand anywhere, between the words of a command as well (`kernel build --unsigned 6.1`).
    parsed = parser.parse_intermixed_args(given)
    return int(module.run(parsed))


def load(name: str) -> ModuleType:
    """The module of a command."""
    module = name.replace("-", "_")
    return import_module(f"pkgtool.cli.{module}_" if iskeyword(module) else f"pkgtool.cli.{module}")


def help_text() -> str:
    """What `pkgtool --help` prints."""
    width = max(map(len, COMMANDS))
    verbs = "\n".join(f"  {name.ljust(width)}  {what}" for name, what in COMMANDS.items())
    codes = "\n".join(f"  {int(code):3}  {meaning}" for code, meaning in EXIT_CODE_MEANINGS.items())
    return (
        "usage: pkgtool COMMAND [OPTIONS] …\n\n"
        "Build, sign and publish a tree of container packages and Linux kernels.\n\n"
        f"commands:\n{verbs}\n\n"
        f"{options.common_help()}\n"
        f"{EXAMPLES}\n"
        f"exit codes:\n{codes}\n\n"
        "'pkgtool COMMAND --help' shows a command's own options.\n"
    )


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, n=1)
    return f"did you mean {close[0]!r}?" if close else "pkgtool --help lists the commands"


def _report_defect(defect: Exception, given: list[str]) -> int:
    import platform
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="pkgtool-report-", suffix=".txt", delete=False, encoding="utf-8"
    ) as report:
        report.write(f"pkgtool {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        report.write(f"command: {given[0] if given else ''}\n\n")
        report.writelines(traceback.format_exception(defect))
    message = (
        f"error: a defect in pkgtool: {type(defect).__name__}: {defect}\n"
        f"hint: please report it with the file {report.name}, which holds no secrets of yours but paths of your tree"
    )
    print(message, file=sys.stderr)  # noqa: T201
    return int(ExitCode.INTERNAL)


if __name__ == "__main__":
    sys.exit(entry())
