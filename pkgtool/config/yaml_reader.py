"""YAML files as nodes with positions.

PyYAML's own types are not used: it reads `0666` as 438, `no` as False, and lets a key occur twice. Nodes keep what
was written. As in LinuxKit, only the first document of a file is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from pkgtool.errors import ConfigError, Location

MAX_SIZE = 1 << 20
"""Bytes. No file that people write comes near."""
_SURELY_FLAT = 2048
"""Bytes. No shorter document nests deeply enough to do harm."""
_MAX_DEPTH = 200
_MAX_EVENTS = 50_000


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Composes nodes without guessing what plain scalars mean: that is the schema's business, and takes time."""

    def resolve(self, *_: object) -> str:
        return ""

    def descend_resolver(self, *_: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name and content, to show the line of an error and to find positions again."""

    file: str
    content: bytes

    def location(self, line: int, column: int) -> Location:
        """A place in this file, counted from 1, with its line as text."""
        lines = self.content.decode("utf-8", "replace").splitlines()
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        return Location(self.file, line, column, text)

    def at(self, mark: Any) -> Location:
        """The place of one of PyYAML's marks."""
        return self.location(mark.line + 1, mark.column + 1)

    def error(self, message: str, mark: Any, hint: str | None = None) -> ConfigError:
        return ConfigError(message, location=self.at(mark), hint=hint)


def compose(source: Source) -> tuple[Any, ConfigError | None]:
    """The root node of the first document, or what is wrong with the file's form."""
    if len(source.content) > MAX_SIZE:
        return None, ConfigError(f"the file is longer than {MAX_SIZE} bytes", location=Location(source.file))
    try:
        node = _compose(source.content)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        message = f"not valid YAML: {problem.problem or problem.context}"
        return None, source.error(message, mark) if mark else ConfigError(message, location=Location(source.file))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        return None, ConfigError(f"not valid YAML: {reason}", location=_unreadable(source))
    if node is None:
        return None, ConfigError("the file is empty", location=Location(source.file))
    return node, None


def locate(source: Source, path: Sequence[str | int], *, key: bool = False) -> Location:
    """Where the value at `path` stands (with `key`: where its key stands); the nearest parent if it is absent."""
    try:
        node = _last_composed(source.content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return Location(source.file)
    mark = node.start_mark if node else None
    for position, step in enumerate(path):
        found = _child(node, step)
        if found is None:
            break
        key_node, node = found
        last = position == len(path) - 1
        mark = (key_node if key and last and key_node is not None else node).start_mark
    return source.at(mark) if mark else Location(source.file)


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if getattr(k, "value", None) == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None


def _compose(content: bytes) -> Any:
    _check_shape(content)
    loader = _Loader(content)
    try:
        return loader.get_node() if loader.check_node() else None
    finally:
        loader.dispose()


@lru_cache(maxsize=1)
def _last_composed(content: bytes) -> Any:
    """A file with many problems is asked about many times in a row."""
    return _compose(content)


def _check_shape(content: bytes) -> None:
    """Composing is recursive C code, which deep nesting would crash; a small file can't nest that deeply."""
    if len(content) <= _SURELY_FLAT:
        return
    loader = _Loader(content)
    depth = count = 0
    try:
        while loader.check_event() and not loader.check_event(yaml.DocumentEndEvent):
            event = loader.get_event()
            count += 1
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH or count > _MAX_EVENTS:
                raise yaml.MarkedYAMLError(problem="too large or nested too deeply", problem_mark=event.start_mark)
    finally:
        loader.dispose()


def _unreadable(source: Source) -> Location:
    """The line of the first byte that is not UTF-8 or not allowed in YAML, where one can be named."""
    try:
        text = source.content.decode()
    except UnicodeDecodeError as problem:
        return source.location(source.content.count(b"\n", 0, problem.start) + 1, 1)
    bad = next((i for i, c in enumerate(text) if not (c.isprintable() or c in "\t\r\n\x85\ufeff")), None)
    return Location(source.file) if bad is None else source.location(text.count("\n", 0, bad) + 1, 1)
