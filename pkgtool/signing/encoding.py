"""Readers for fields of JSON documents that come from elsewhere; each raises `VerificationError` with the place."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pkgtool.errors import VerificationError

MAX_NUMBER = 2**63 - 1


def b64(content: bytes) -> str:
    """Standard base64 with padding, as sigstore's documents have it."""
    return base64.b64encode(content).decode()


def unb64(value: Any, what: str) -> bytes:
    """Standard base64, strictly."""
    if not isinstance(value, str):
        raise VerificationError(f"{what} is not base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise VerificationError(f"{what} is not base64 text") from problem


def text(document: dict[str, Any], name: str, what: str, default: str | None = None) -> str:
    """A string field."""
    value = document.get(name, default)
    if not isinstance(value, str):
        raise VerificationError(f"{what} has no text {name!r}")
    return value


def mapping(document: dict[str, Any], name: str, what: str) -> dict[str, Any]:
    """An object field that must be there."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise VerificationError(f"{what} has no object {name!r}")
    return value


def sequence(document: dict[str, Any], name: str, what: str, *, limit: int) -> list[Any]:
    """An array field of at most `limit` elements; absent means empty."""
    value = document.get(name) or []
    if not isinstance(value, list):
        raise VerificationError(f"{name!r} of {what} is not an array")
    if len(value) > limit:
        raise VerificationError(f"{what} has {len(value)} {name}, more than the {limit} allowed")
    return value


def number(document: dict[str, Any], name: str, what: str, default: int | None = None) -> int:
    """A number that is not negative; Protocol Buffers' JSON writes 64-bit ones as text."""
    value = document.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise VerificationError(f"{what} has no number {name!r}")
    return value
