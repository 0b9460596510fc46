"""A YAML document with its places: every problem in it is found in one reading, each with line and column.

Values are what is written, as text: YAML's own guesses (`no`, `1.10`, `12:30`) never apply. Reading goes on
after a problem with a harmless stand-in, and `Document.finish` raises all that was found.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pkgtool.errors import ConfigError, Location, PkgtoolError, raise_all

if TYPE_CHECKING:
    from yaml import Mark, Node

T = TypeVar("T")
_MAX_DEPTH = 30


@dataclass(slots=True)
class Document:
    """A file being read. `file` is how errors name it."""

    file: str
    lines: list[str] = field(default_factory=list)
    problems: list[PkgtoolError] = field(default_factory=list)

    def location(self, mark: Mark | None) -> Location:
        if mark is None:
            return Location(self.file)
        text = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Location(self.file, mark.line + 1, mark.column + 1, text)

    def problem(self, message: str, mark: Mark | None, hint: str | None = None) -> None:
        self.problems.append(ConfigError(message, location=self.location(mark), hint=hint))

    def finish(self) -> None:
        """Raise what was found, in the file's order."""
        raise_all(sorted(self.problems, key=lambda p: (p.location.line, p.location.column) if p.location else (0, 0)))


def compose(content: bytes, document: Document) -> Node | None:
    """The document's tree, or None (with a problem recorded) where the text is no YAML."""
    import yaml

    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start)
        document.problems.append(ConfigError("the file is not UTF-8 text", location=Location(document.file, line + 1)))
        return None
    document.lines = text.splitlines()
    try:
        _check_depth(text)
        node: Node | None = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        document.problem(f"not YAML: {error.problem or error.context}", error.problem_mark or error.context_mark)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        document.problem(f"not YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}", None)
    else:
        if node is None:
            document.problem("the file is empty", None)
        return node
    return None


def _check_depth(text: str) -> None:
    """Raise `ValueError` for a text that nests deeper than any lock: composing it would exhaust the C stack."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        kind = type(event)
        if kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            depth += 1
            if depth > _MAX_DEPTH:
                raise ValueError(f"it nests more than {_MAX_DEPTH} deep")
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            depth -= 1


class Value:
    """One node of the document. Every accessor records what is wrong and returns a stand-in."""

    def __init__(self, node: Node, document: Document, name: str, key: Mark | None = None) -> None:
        self._node = node
        self._document = document
        self._name = name
        self._key = key

    def problem(self, message: str, hint: str | None = None) -> None:
        self._document.problem(f"{self._name}: {message}", self._node.start_mark, hint)

    def unknown(self, hint: str) -> None:
        """Record that nothing is known by the name of this value."""
        self._document.problem(f"unknown name {self._name}", self._key, hint)

    def text(self) -> str:
        """A scalar as it is written."""
        import yaml

        if isinstance(self._node, yaml.ScalarNode):
            return str(self._node.value)
        self.problem("expected text")
        return ""

    def parsed(self, parse: Callable[[str], T], stand_in: T) -> T:
        """A scalar turned into a value; `parse` raises `ValueError` with a message fit for people."""
        before = len(self._document.problems)
        text = self.text()
        if len(self._document.problems) > before:
            return stand_in
        try:
            return parse(text)
        except ValueError as error:
            self.problem(str(error))
            return stand_in

    def items(self) -> tuple[Value, ...]:
        """The entries of a list."""
        import yaml

        if not isinstance(self._node, yaml.SequenceNode):
            self.problem("expected a list")
            return ()
        return tuple(Value(node, self._document, self._name) for node in self._node.value)

    def texts(self, parse: Callable[[str], str] = str) -> tuple[str, ...]:
        """A list of scalars; those that `parse` refuses are left out, with a problem each."""
        return tuple(text for item in self.items() if (text := item.parsed(parse, "")))

    def mapping(self) -> Iterator[tuple[str, Value]]:
        """Names and values of a mapping whose names are data; repeated names are problems."""
        import yaml

        if not isinstance(self._node, yaml.MappingNode):
            self.problem("expected names with values")
            return
        seen: dict[str, int] = {}
        for key, node in self._node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._document.problem(f"{self._name}: a name must be text", key.start_mark)
                continue
            name = str(key.value)
            if name in seen:
                self._document.problem(f"{name} is there twice, first in line {seen[name]}", key.start_mark)
                continue
            seen[name] = key.start_mark.line + 1
            yield name, Value(node, self._document, name, key.start_mark)

    def peek(self, name: str) -> Value | None:
        """One value of a mapping, before anything else of it is looked at."""
        import yaml

        if isinstance(self._node, yaml.MappingNode):
            for key, node in self._node.value:
                if isinstance(key, yaml.ScalarNode) and key.value == name:
                    return Value(node, self._document, name, key.start_mark)
        return None

    def fields(self, required: Iterable[str], optional: Iterable[str] = ()) -> Mapping[str, Value]:
        """The values of a mapping with known names; unknown and missing ones are problems."""
        needed = set(required)
        known = needed | set(optional)
        found: dict[str, Value] = {}
        before = len(self._document.problems)
        for name, value in self.mapping():
            if name in known:
                found[name] = value
            else:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(known))}"
                value.unknown(hint)
        missing = sorted(needed - found.keys())
        if missing and len(self._document.problems) == before:
            self.problem(f"{', '.join(missing)} missing")
        return found


def root(content: bytes, document: Document) -> Value | None:
    """The document's top, or None where there is nothing to read."""
    node: Any = compose(content, document)
    return None if node is None else Value(node, document, document.file)
