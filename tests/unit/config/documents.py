"""Random build.yml and pkgtool.yml files: real keys, values that may or may not fit."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from pkgtool.config.schema import BuildFile, TreeFile
from pkgtool.config.typed import Fields, Kind, fields_of, struct

_WORDS = (
    "", "p", "~", "yes", "no", "null", "0666", "-1", "1e3", "amd64", "linux/arm64", "..", "../..", "/", ".", "a:b",
    "../p:d", "a=b", "A=@lkt:pkg:../p", "%=@lkt:pkgs:../*", "@lkt:", "{{.Hash}}", "{{", "x" * 200, "Dockerfile", "A B",
    "alpine@sha256:" + "0" * 64, "http://x/y", "99999999999999999999", "\u00e9", "\x07", "\ud800", "\u2028", "a\nb",
    "[", "*", "pkg/*", "../*", "//", "\\", "'", "localhost:5000", "-",
)  # fmt: skip

_scalars = st.one_of(
    st.sampled_from(_WORDS), st.integers(-(2**70), 2**70), st.booleans(), st.none(), st.text(max_size=5)
)
_anything = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def documents(of: str = "build") -> st.SearchStrategy[str]:
    """A document as text: JSON, which is YAML too, with every value written in one of the ways YAML has."""
    return _documents(_mapping(fields_of(struct(BuildFile if of == "build" else TreeFile))))


@st.composite
def _documents(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> str:
    return _written(draw, draw(values))


def _value(kind: Kind) -> st.SearchStrategy[Any]:
    fitting: st.SearchStrategy[Any]
    if kind.fields is not None:
        fitting = _mapping(kind.fields())
    elif kind.item is None:
        fitting = _scalars
    elif kind.schema["type"] == "array":
        fitting = st.lists(_value(kind.item), max_size=3)
    else:
        fitting = st.dictionaries(st.sampled_from(_WORDS), _value(kind.item), max_size=3)
    return st.one_of(fitting, fitting, fitting, _anything)


def _mapping(fields: Fields) -> st.SearchStrategy[dict[str, Any]]:
    optional = {name: st.deferred(lambda kind=rules.kind: _value(kind)) for name, (_, rules) in fields.keys.items()}
    return st.fixed_dictionaries({}, optional=optional)


def _written(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)}: {_written(draw, item)}" for name, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_written(draw, item) for item in value) + "]"
    if isinstance(value, str) and value.isalnum() and draw(st.booleans()):
        return value  # plain
    return json.dumps(value, ensure_ascii=draw(st.booleans()))
