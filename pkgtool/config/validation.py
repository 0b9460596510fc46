"""From raw data to a checked schema object, each mistake as an error with file, line, column and a hint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pkgtool.config import yaml_reader
from pkgtool.config.yaml_reader import Source
from pkgtool.errors import ConfigError

Schema = TypeVar("Schema", bound=BaseModel)

_MESSAGES = {
    "missing": "the key {key!r} is required",
    "extra_forbidden": "unknown key {key!r}",
    "list_type": "{key!r} must be a list",
    "dict_type": "{key!r} must be a mapping",
    "model_type": "{key!r} must be a mapping",
    "model_attributes_type": "{key!r} must be a mapping",
    "too_short": "{key!r} must not be empty",
    "string_pattern_mismatch": "{key!r} does not match {pattern}",
    "greater_than_equal": "{key!r} must be at least {ge}",
}


def read_schema(source: Source, schema: type[Schema]) -> tuple[Schema | None, list[ConfigError]]:
    """Read a YAML file against a schema: the object, or None and every problem found."""
    data, problems = yaml_reader.read(source)
    if problems:
        if data is None:
            return None, problems
        _, more = validate(source, schema, data)
        return None, [*problems, *more]
    return validate(source, schema, data)


def validate(
    source: Source, schema: type[Schema], data: Any, *, below: Sequence[str | int] = ()
) -> tuple[Schema | None, list[ConfigError]]:
    """Check data that stands at the path `below` of a file."""
    if not isinstance(data, dict):
        what = f"{below[-1]!r}" if below else "the file"
        return None, [ConfigError(f"{what} must be a mapping", location=yaml_reader.locate(source, below))]
    try:
        return schema.model_validate(data), []
    except ValidationError as failure:
        problems = [_problem(source, schema, dict(error), below) for error in failure.errors(include_url=False)]
        return None, sorted(problems, key=lambda p: (p.location.line, p.location.column) if p.location else (0, 0))


def _problem(source: Source, schema: type[BaseModel], error: dict[str, Any], below: Sequence[str | int]) -> ConfigError:
    path = (*below, *(step for step in error["loc"]))
    kind = error["type"]
    key = path[-1] if path else ""
    if kind == "value_error":
        message = f"{_name(path)}: {error['ctx']['error']}"
    elif kind in _MESSAGES:
        message = _MESSAGES[kind].format(key=key, **error.get("ctx", {}))
    else:
        message = f"{_name(path)}: {error['msg']}"
    about_key = kind == "extra_forbidden"
    hint = None
    if about_key:
        hint = _did_you_mean(str(key), _keys_at(schema, error["loc"][:-1]))
    where = path[:-1] if kind == "missing" else path
    return ConfigError(message, location=yaml_reader.locate(source, where, key=about_key), hint=hint)


def _name(path: Sequence[str | int]) -> str:
    return ".".join(str(step) for step in path)


def _keys_at(schema: type[BaseModel], path: Iterable[str | int]) -> list[str]:
    """The keys that are allowed where `path` leads, as the schema's aliases spell them."""
    model: type[BaseModel] | None = schema
    for step in path:
        if isinstance(step, int) or model is None:
            continue
        field = next((f for n, f in model.model_fields.items() if (f.alias or n) == step), None)
        model = _model_in(field.annotation) if field else None
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, getattr(annotation, "__args__", ()))), None)


def _did_you_mean(word: str, allowed: Sequence[str]) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), allowed, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"allowed here: {', '.join(sorted(allowed))}" if allowed else None
