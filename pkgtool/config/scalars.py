"""What a plain YAML scalar means in a field of a given type, by the rules of LinuxKit's decoder (yaml.v3)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from pkgtool.config.yaml_reader import Plain

_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"))
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[1-9][0-9_]*|0)\Z")


def parse_integer(text: str) -> int | None:
    """An integer as Go's ParseInt with base 0 reads it: `0666` and `0o666` are octal."""
    if not _INTEGER.match(text):
        return None
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        digits = "0o" + digits[1:]
    return sign * int(digits, 0)


def _boolean(value: Any) -> Any:
    if isinstance(value, Plain):
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
    if isinstance(value, bool):
        return value
    raise ValueError(f"{_shown(value)} is neither true nor false")


def _integer(value: Any) -> Any:
    number = parse_integer(value) if isinstance(value, Plain) else None
    if number is None:
        raise ValueError(f"{_shown(value)} is not a whole number")
    return number


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    raise ValueError(f"{_shown(value)} is not text")


def _text_or_integer(value: Any) -> Any:
    if isinstance(value, Plain):
        number = parse_integer(value)
        return str(value) if number is None else number
    return _text(value)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(str(value)) if isinstance(value, str) else "nothing"


Boolean = Annotated[bool, BeforeValidator(_boolean)]
Integer = Annotated[int, BeforeValidator(_integer)]
Text = Annotated[str, BeforeValidator(_text)]
TextOrInteger = Annotated[int | str, BeforeValidator(_text_or_integer)]
