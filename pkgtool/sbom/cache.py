"""An inventory as JSON, to be kept beside its image."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from pkgtool.errors import StoreError
from pkgtool.sbom.model import Component, Inventory, Kind
from pkgtool.values import Digest, Platform

_FORMAT = 2
_TUPLES = ("locations", "depends", "generated_from")


def dump(inventory: Inventory) -> bytes:
    """The same bytes for the same inventory."""
    document = {
        "format": _FORMAT,
        "platform": str(inventory.platform),
        "manifest": str(inventory.manifest),
        "components": [_plain(component) for component in inventory.components],
    }
    return json.dumps(document, sort_keys=True).encode()


def load(content: bytes, *, what: str) -> Inventory | None:
    """None if another version of pkgtool wrote it. Raises `StoreError` if it is damaged."""
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT:
            return None
        return Inventory(
            Platform.parse(document["platform"]),
            Digest.parse(document["manifest"]),
            tuple(_component(each) for each in document["components"]),
        )
    except (ValueError, KeyError, TypeError) as problem:
        raise StoreError(f"{what} is damaged: {problem}") from problem


def _plain(component: Component) -> dict[str, Any]:
    found = dataclasses.asdict(component)
    return {name: value for name, value in found.items() if value}


def _component(document: dict[str, Any]) -> Component:
    fields: dict[str, Any] = {n: tuple(value) if n in _TUPLES else value for n, value in document.items()}
    fields["kind"] = Kind(document["kind"])
    return Component(**fields)
