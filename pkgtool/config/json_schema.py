"""JSON schemas of build.yml and pkgtool.yml, for editors, from the same declarations that pkgtool reads them by.

JSON Schema 2020-12. Editors read YAML 1.2, where `0666` is a number and `yes` is text, so these schemas allow
the forms that pkgtool takes for text and booleans. What depends on other files is not in them.

`python -m pkgtool.config.json_schema` writes the files beside this module anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pkgtool.config import typed
from pkgtool.config.schema import BuildFile, TreeFile
from pkgtool.config.typed import Key, Kind

SCHEMAS: Mapping[str, type] = {"build": BuildFile, "tree": TreeFile}
"""What `pkgtool schema` can print: build.yml and pkgtool.yml."""


def text_of(name: str) -> str:
    """The schema called `name` as text, as it is shipped."""
    top = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": _FILES[name]}
    return json.dumps({**top, **_mapping(typed.struct(SCHEMAS[name]))}, indent=2, ensure_ascii=False) + "\n"


def shipped(name: str) -> Path:
    """Where the shipped copy lies."""
    return Path(__file__).with_name(f"{name}.schema.json")


_FILES = {"build": "build.yml", "tree": "pkgtool.yml"}
_WORDS = ["yes", "Yes", "YES", "y", "Y", "on", "On", "ON", "no", "No", "NO", "n", "N", "off", "Off", "OFF"]


def _mapping(kind: Kind) -> dict[str, Any]:
    fields = typed.fields_of(kind)
    result: dict[str, Any] = {"type": "object"}
    if fields.doc:
        result["description"] = fields.doc.strip()
    result["properties"] = {name: _key(key) for name, (_, key) in fields.keys.items()}
    if fields.required:
        result["required"] = list(fields.required)
    return {**result, "additionalProperties": False}


def _key(key: Key) -> dict[str, Any]:
    schema = _value(key.kind)
    if key.doc:
        schema["description"] = key.doc
    if key.pattern:
        schema["pattern"] = f"^(?:{key.pattern})$"
    if key.minimum is not None:
        schema["minimum"] = key.minimum
    if key.maximum is not None:
        schema["maximum"] = key.maximum
    if key.not_empty:
        schema["minItems"] = 1
    return schema if key.required else _or_nothing(schema)


def _or_nothing(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, but the key may also stand there with nothing after it."""
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*types, "null"]}
    return {**schema, "enum": [*schema["enum"], None]}


def _value(kind: Kind) -> dict[str, Any]:
    if kind.fields is not None:
        return _mapping(kind)
    if kind.item is not None:
        inner = "items" if kind.schema["type"] == "array" else "additionalProperties"
        return {**kind.schema, inner: _value(kind.item)}
    if kind is typed.TEXT:
        return {"type": ["string", "number", "boolean"]}
    if kind is typed.BOOLEAN:
        return {"enum": [True, False, *_WORDS]}
    return dict(kind.schema)


if __name__ == "__main__":
    for schema_name in SCHEMAS:
        shipped(schema_name).write_text(text_of(schema_name))
