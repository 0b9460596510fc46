"""build.yml's `inputs` → `model.Inputs`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from pkgtool.config.schema import InputsFile
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError
from pkgtool.model import DebianInput, FileInput, GitInput, GoInput, Inputs
from pkgtool.source.trees import SourceTree

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]*\Z")
_URL = re.compile(r"(?:https?|file|git|ssh)://\S+\Z")


def read_inputs(
    schema: InputsFile | None, source: Source, tree: SourceTree, directory: str
) -> tuple[Inputs, list[ConfigError]]:
    """The inputs of the package in `directory`, and every problem."""
    if schema is None:
        return Inputs(), []
    problems: list[ConfigError] = []

    def problem(message: str, *where: str | int) -> None:
        problems.append(ConfigError(message, location=locate(source, ("inputs", *where))))

    _check_names(((("files", i), f.name) for i, f in enumerate(schema.files)), problem)
    _check_names(((("git", i), g.name) for i, g in enumerate(schema.git)), problem)
    for position, file in enumerate(schema.files):
        for url in filter(None, (file.url, file.signature, *file.mirrors)):
            if not _URL.match(url):
                problem(f"{url!r} is not a URL", "files", position)
        if file.signature and not tree.is_file(posixpath.join(directory, file.keyring or "?")):
            problem("a signature needs the keyring of its signers, a file of the package", "files", position)
    for position, module in enumerate(schema.go):
        if not tree.is_file(posixpath.normpath(posixpath.join(directory, module.path, "go.sum"))):
            problem(f"{posixpath.join(module.path, 'go.sum')} does not exist", "go", position, "path")
    debian = schema.debian
    return Inputs(
        debian=DebianInput(debian.suite, tuple(debian.packages), tuple(debian.components)) if debian else None,
        files=tuple(FileInput(f.name, f.url, tuple(f.mirrors), f.sha256, f.signature, f.keyring) for f in schema.files),
        git=tuple(GitInput(g.name, g.url, g.ref) for g in schema.git),
        go=tuple(GoInput(g.path) for g in schema.go),
    ), problems


def _check_names(named: Iterable[tuple[tuple[str, int], str]], problem: object) -> None:
    assert callable(problem)
    seen: set[str] = set()
    for where, name in named:
        if not _FILE_NAME.match(name):
            problem(f"{name!r} can't be a file name", *where, "name")
        elif name in seen:
            problem(f"the name {name!r} occurs twice", *where, "name")
        seen.add(name)
