"""From YAML nodes to frozen dataclasses, in one pass that knows the position of everything.

A schema is a dataclass whose fields are made with `key`. Reading collects every problem: unknown and duplicate
keys, wrong types, missing keys, each with file, line and column. What a plain scalar means is decided by the type
of its field, as LinuxKit's Go decoder does: `0666` stays text in a text field, `yes` is true in a boolean one.
A key with nothing after it counts as absent, unless `empty_means` says what it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, TypeVar

import yaml

from pkgtool.config.yaml_reader import Source, compose
from pkgtool.errors import ConfigError

Schema = TypeVar("Schema")
Problem = Callable[[str, Any, "str | None"], None]

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"))
_INTEGER = re.compile(
    r"[-+]?(?:0[xX]_?[0-9a-fA-F][0-9a-fA-F_]*|0[bB]_?[01][01_]*|0[oO]?_?[0-7][0-7_]*|[1-9][0-9_]*|0)\Z"
)
_LONGEST_INTEGER = 80
# What YAML reads as a number, a boolean, a date or nothing, where a name or a whole number is asked for.
_OTHER_TYPE = re.compile(r"[-+]?\.?[0-9]|[-+]?\.(?:inf|nan)\Z|(?:true|false|null|~|)\Z", re.IGNORECASE)
_MAX_NODES = 100_000
_MAX_DEPTH = 60
_INVALID: Any = object()


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be. `name` is what people read, `schema` its JSON schema."""

    name: str
    schema: Mapping[str, Any]
    item: Kind | None = None
    fields: Callable[[], Fields] | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping: its name in the file, its kind, and the rules for its value."""

    name: str
    kind: Kind
    doc: str = ""
    required: bool = False
    empty_means: Any = None
    pattern: str = ""
    minimum: int | None = None
    maximum: int | None = None
    not_empty: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """The keys that a mapping may have (attribute and rules by name), and what becomes of the values."""

    keys: Mapping[str, tuple[str, Key]]
    make: Callable[[Mapping[str, Any]], Any]
    required: tuple[str, ...] = ()
    doc: str = ""


TEXT = Kind("text", {"type": "string"})
BOOLEAN = Kind("true or false", {"type": "boolean"})
INTEGER = Kind("a whole number", {"type": "integer", "minimum": -(1 << 63), "maximum": (1 << 63) - 1})
TEXT_OR_INTEGER = Kind("text or a whole number", {"type": ["string", "integer"]})


def unsigned(bits: int) -> Kind:
    """A whole number that fits into so many bits."""
    return Kind("a whole number", {"type": "integer", "minimum": 0, "maximum": (1 << bits) - 1})


def list_of(item: Kind) -> Kind:
    """A list; it becomes a tuple."""
    return Kind("a list", {"type": "array"}, item=item)


def map_of(item: Kind) -> Kind:
    """A mapping with any keys; it becomes a dict."""
    return Kind("a mapping", {"type": "object"}, item=item)


def struct(schema: type) -> Kind:
    """A mapping whose keys are those of a dataclass."""
    return Kind("a mapping", {"type": "object"}, fields=lambda: _fields_of_class(schema))


def fields_of(kind: Kind) -> Fields:
    """The keys of a mapping of a known shape."""
    if kind.fields is None:
        raise TypeError(f"{kind.name} has no keys of its own")
    return kind.fields()


def key(name: str, kind: Kind, doc: str = "", *, default: Any = MISSING, **rules: Any) -> Any:
    """A field of a schema. Without a default the key is required."""
    made = Key(name, kind, doc, required=default is MISSING, **rules)
    return field(default=None if default is MISSING else default, metadata={"key": made})


@cache
def _fields_of_class(schema: type) -> Fields:
    found = ((f.name, f.metadata["key"]) for f in fields(schema))
    keys = {made.name: (attribute, made) for attribute, made in found}
    required = tuple(name for name, (_, made) in keys.items() if made.required)
    return Fields(keys, lambda values: schema(**values), required, schema.__doc__ or "")


def read(source: Source, schema: type[Schema]) -> tuple[Schema | None, list[ConfigError]]:
    """Read a file against a schema: the object, or None and every problem found, in the order of the lines."""
    found, problems, _ = read_partly(source, schema)
    return (None if problems else found), problems


def read_partly(source: Source, schema: type[Schema]) -> tuple[Schema | None, list[ConfigError], frozenset[str]]:
    """The same, with as much of the object as can be read: for whoever looks for further problems in the rest.

    Also the names of the file's keys whose values are no good; in the object they count as absent. The object is None
    if the file is no mapping at all.
    """
    node, problem = compose(source)
    if problem:
        return None, [problem], frozenset()
    reader = _Reader(source)
    keys = fields_of(struct(schema))
    values = reader.values(keys, node, "the file", 0)
    problems = sorted(reader.problems, key=lambda p: (p.location.line, p.location.column) if p.location else (0, 0))
    if values is _INVALID:
        return None, problems, frozenset()
    bad = frozenset(name for name, (attribute, _) in keys.keys.items() if values.get(attribute) is _INVALID)
    return keys.make({k: v for k, v in values.items() if v is not _INVALID}), problems, bad


def parse_integer(text: str) -> int | None:
    """An integer as Go's ParseInt with base 0 reads it: `0666` and `0o666` are octal.

    None if it is none, or if it does not fit into 64 bits.
    """
    if len(text) > _LONGEST_INTEGER or not _INTEGER.match(text):
        return None
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        digits = "0o" + digits[1:]
    number = sign * int(digits, 0)
    return number if -(1 << 63) <= number < 1 << 64 else None


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._count = 0
        self._gave_up = False
        self.problems: list[ConfigError] = []

    def struct(self, schema: Fields, node: Any, what: str, depth: int) -> Any:
        values = self.values(schema, node, what, depth)
        return _INVALID if values is _INVALID or _INVALID in values.values() else schema.make(values)

    def values(self, schema: Fields, node: Any, what: str, depth: int) -> Any:
        """The values of a mapping's keys by attribute; those that are no good are there as such."""
        if not isinstance(node, yaml.MappingNode):
            return self._problem(f"{what} must be a mapping", node)
        allowed = schema.keys
        values: dict[str, Any] = {}
        seen: set[str] = set()
        for key_node, value_node in node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if name is None:
                self._problem("a key must be a single word", key_node)
            elif name in seen:
                self._problem(f"the key {name!r} occurs twice", key_node, "remove one of them")
            elif name not in allowed:
                self._problem(f"unknown key {name!r}", key_node, _did_you_mean(name, list(allowed)))
            else:
                attribute, rules = allowed[name]
                values[attribute] = self._field(rules, value_node, depth)
            if name is not None:
                seen.add(name)
        for name in schema.required:
            if values.get(allowed[name][0]) is None:
                values[allowed[name][0]] = self._problem(f"the key {name!r} is required", node)
        return {attribute: value for attribute, value in values.items() if value is not None}

    def _field(self, rules: Key, node: Any, depth: int) -> Any:
        if _is_null(node):
            return rules.empty_means
        value = self._value(rules.kind, node, f"{rules.name!r}", depth + 1)
        if value is _INVALID:
            return value
        if rules.pattern and isinstance(value, str) and not re.fullmatch(rules.pattern, value):
            return self._problem(f"{rules.name!r} does not match {rules.pattern}", node)
        if rules.minimum is not None and isinstance(value, int) and value < rules.minimum:
            return self._problem(f"{rules.name!r} must be at least {rules.minimum}", node)
        if rules.maximum is not None and isinstance(value, int) and value > rules.maximum:
            return self._problem(f"{rules.name!r} must be at most {rules.maximum}", node)
        if rules.not_empty and not value:
            return self._problem(f"{rules.name!r} must not be empty", node)
        return value

    def _value(self, kind: Kind, node: Any, what: str, depth: int) -> Any:
        self._count += 1
        if self._count > _MAX_NODES or depth > _MAX_DEPTH:
            if not self._gave_up:
                self._gave_up = True
                self._problem("the document is too large or nested too deeply", node)
            return _INVALID
        if kind.fields is not None:
            return self.struct(kind.fields(), node, what, depth)
        if kind.item is None:
            return self._scalar(kind, node, what)
        if kind.schema["type"] == "array":
            return self._list(kind.item, node, what, depth)
        return self._map(kind.item, node, what, depth)

    def _list(self, item: Kind, node: Any, what: str, depth: int) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self._problem(f"{what} must be a list", node)
        # Go's decoder leaves items out that are null; so does this one.
        given = (child for child in node.value if item is TEXT_OR_INTEGER or not _is_null(child))
        found = [self._value(item, child, f"an item of {what}", depth + 1) for child in given]
        return _INVALID if _INVALID in found else tuple(found)

    def _map(self, item: Kind, node: Any, what: str, depth: int) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._problem(f"{what} must be a mapping", node)
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem("a key must be a single word", key_node)
            elif key_node.value in found:
                self._problem(f"the key {key_node.value!r} occurs twice", key_node, "remove one of them")
            elif _is_null(value_node):
                found[key_node.value] = item.fields().make({}) if item.fields else ""
            else:
                found[key_node.value] = self._value(item, value_node, f"{key_node.value!r}", depth + 1)
        return _INVALID if _INVALID in found.values() else found

    def _scalar(self, kind: Kind, node: Any, what: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return self._problem(f"{what} must be {kind.name}", node)
        text, plain = node.value, not node.style  # libyaml gives plain scalars an empty style
        if node.tag:
            return self._problem(f"{what} has the tag {node.tag[:40]!r}; tags mean nothing here", node, "leave it out")
        if kind is TEXT:
            return text
        # Go takes words such as yes for booleans even in quotes, but not "true".
        if kind is BOOLEAN and text in _TRUE | _FALSE and (plain or text.lower() not in ("true", "false")):
            return text in _TRUE
        number = parse_integer(text) if plain and kind not in (TEXT, BOOLEAN) else None
        if number is not None:
            if kind.schema.get("minimum", number) <= number <= kind.schema.get("maximum", number):
                return number
            return self._problem(f"{what} is out of range: {number}", node)
        if kind is TEXT_OR_INTEGER and not (plain and _OTHER_TYPE.match(text)):
            return text
        hint = "put it in quotes if it is a name" if kind is TEXT_OR_INTEGER else None
        return self._problem(f"{what} must be {kind.name}, not {text[:40]!r}", node, hint)

    def _problem(self, message: str, node: Any, hint: str | None = None) -> Any:
        self.problems.append(self._source.error(message, node.start_mark, hint))
        return _INVALID


def _is_null(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in _NULLS


def _did_you_mean(word: str, allowed: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), allowed, n=1)
    return f"did you mean {close[0]!r}?" if close else f"allowed here: {', '.join(sorted(allowed))}"
