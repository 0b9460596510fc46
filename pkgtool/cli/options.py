"""The options that every command has, before or after its name, and what they mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from pkgtool.errors import UsageError
from pkgtool.values import ImageRef, Platform

_TAKE_VALUE = frozenset(
    ("-C", "--directory", "--org", "--platform", "--engine", "-j", "--jobs", "--store", "--progress")
)
_ENGINES = ("auto", "docker", "buildah")
_PROGRESS = ("auto", "tty", "plain", "json", "github", "quiet")


class Parser(argparse.ArgumentParser):
    """argparse whose errors are ours."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")


def make_parser(name: str, module: ModuleType) -> Parser:
    """The parser of a command: its own options, then those that all commands share."""
    parser = Parser(
        prog=f"pkgtool {name}",
        description=module.__doc__,
        epilog=getattr(module, "EXAMPLES", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    add_common(parser)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the shared options to a parser."""
    tree = parser.add_argument_group("tree")
    tree.add_argument("-C", "--directory", type=Path, default=Path(), metavar="DIR", help="work on the tree at DIR")
    tree.add_argument("--org", metavar="NAME", help="the organisation in references, instead of the files' own")
    tree.add_argument(
        "--platform",
        action="append",
        default=[],
        type=_platforms,
        metavar="OS/ARCH",
        help="the target platform, repeatable (default: GOOS and GOARCH, else this machine's)",
    )
    running = parser.add_argument_group("running")
    running.add_argument("--engine", choices=_ENGINES, default="auto", help="what runs Dockerfiles")
    running.add_argument(
        "-j", "--jobs", type=_count, default=0, metavar="N", help="steps at a time (default: one a core)"
    )
    running.add_argument("--keep-going", action="store_true", help="after a failure, go on with what does not need it")
    running.add_argument("--store", type=Path, metavar="DIR", help="the local store (default: in the user's cache)")
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print the result as JSON")
    output.add_argument("--progress", choices=_PROGRESS, default="auto", help="how progress is shown")
    output.add_argument("-v", "--verbose", action="count", default=0, help="show what the steps print; twice: more")
    output.add_argument("-q", "--quiet", action="store_true", help="print the result alone")


def add_packages(parser: argparse.ArgumentParser) -> None:
    """Add the list of packages that a command works on."""
    parser.add_argument("packages", nargs="*", metavar="PKG", help="a package's name or directory (default: all)")


def add_tag_options(parser: argparse.ArgumentParser) -> None:
    """Add what LinuxKit has to change tags by hand."""
    group = parser.add_argument_group("tags (as linuxkit pkg has them)")
    group.add_argument("--tag", metavar="TEMPLATE", help="the tag's template; {{.Hash}} is its only field")
    group.add_argument("--hash", default="", metavar="HASH", help="use this instead of the hash")
    group.add_argument("--hash-path", metavar="DIR", help="hash this parent of the package's directory instead")
    group.add_argument("--force-dirty", action="store_true", help="treat packages as dirty")
    group.add_argument("--build-yml", default="build.yml", metavar="NAME", help="the name of the packages' files")
    group.add_argument(
        "--build-arg",
        action="append",
        default=[],
        metavar="K=V",
        help="a build argument, repeatable; it counts in tags",
    )
    group.add_argument(
        "--build-arg-file", action="append", default=[], type=Path, metavar="FILE", help="a file of build arguments"
    )
    network = group.add_mutually_exclusive_group()
    network.add_argument("--network", action="store_true", default=None, help="give build steps the network")
    network.add_argument("--nonetwork", action="store_false", dest="network", help="take the network from build steps")


def add_replace(parser: argparse.ArgumentParser) -> None:
    """Add the one way to move a published tag."""
    parser.add_argument(
        "--replace", action="append", default=[], metavar="TAG", help="allow other content under this published tag"
    )


def add_registry_options(parser: argparse.ArgumentParser, *, pulling: bool = True, optional: bool = True) -> None:
    """Add where images are published, and for commands that may build, how that is used.

    A command that is not `optional` about the registry can't go on without it.
    """
    group = parser.add_argument_group("registry")
    group.add_argument("--registry", default="", metavar="HOST[/PREFIX]", help="instead of pkgtool.yml's registry")
    if pulling:
        group.add_argument(
            "--no-pull", action="store_false", dest="pull", help="build also what the registry has under the tag"
        )
    if pulling and optional:
        group.add_argument(
            "--registry-optional", action="store_true", help="if the registry can't answer, warn and build"
        )


def add_builder_options(parser: argparse.ArgumentParser) -> None:
    """Add where else to build, for commands that may build."""
    group = parser.add_argument_group("builders")
    group.add_argument(
        "--builder",
        action="append",
        default=[],
        metavar="[PLATFORM=]URL",
        help="build there instead of with pkgtool.yml's engines, repeatable (docs/engines.md)",
    )
    for name, what in (("--cache-from", "read from"), ("--cache-to", "write to")):
        group.add_argument(
            name, action="append", default=[], metavar="REPOSITORY", help=f"{what} a registry's build cache, repeatable"
        )


def references(arguments: Sequence[str]) -> list[ImageRef]:
    """The arguments as image references, if they are some; none if they are packages.

    Raises `UsageError` if both are named, or a reference is malformed.
    """
    named = [argument for argument in arguments if "/" in argument and (":" in argument or "@" in argument)]
    if named and len(named) != len(arguments):
        raise UsageError("name either packages or references")
    try:
        return [ImageRef.parse(argument) for argument in named]
    except ValueError as problem:
        raise UsageError(str(problem)) from problem


def command_position(arguments: Sequence[str]) -> int | None:
    """Where the command's name stands; None if there is none."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word in _TAKE_VALUE:
            position += 2
        elif word.startswith("-"):
            position += 1
        else:
            return position
    return None


def directory(arguments: Sequence[str]) -> Path:
    """What -C or --directory says among raw arguments."""
    for position, word in enumerate(arguments):
        for name in ("-C", "--directory="):
            if word.startswith(name) and word != name:
                return Path(word.removeprefix(name))
        if word in ("-C", "--directory") and position + 1 < len(arguments):
            return Path(arguments[position + 1])
    return Path()


def common_help() -> str:
    """The shared options as help text."""
    parser = Parser(prog="pkgtool", add_help=False, usage=argparse.SUPPRESS)
    add_common(parser)
    return parser.format_help()


def progress_mode(parsed: argparse.Namespace) -> str:
    """The progress mode after `--quiet` had its say."""
    return "quiet" if parsed.quiet else str(parsed.progress)


def emit(text: str) -> None:
    """Print a result."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def _platforms(text: str) -> list[Platform]:
    try:
        return [Platform.parse(part) for part in text.split(",")]
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)
