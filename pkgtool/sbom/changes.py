"""What moved between two inventories: components that came, went, or have other versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pkgtool.sbom.model import Inventory, Kind


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """One component; no versions `before` means that it came, none `after` that it went."""

    kind: Kind
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    def __str__(self) -> str:
        sign = "+" if not self.before else "-" if not self.after else "~"
        versions = " → ".join(", ".join(versions) for versions in (self.before, self.after) if versions)
        return f"{sign} {self.name} {versions}"


def component_changes(before: Inventory, after: Inventory) -> tuple[ComponentChange, ...]:
    """Every component whose versions are not the same in both, by kind and name."""
    old, new = _versions(before), _versions(after)
    return tuple(
        ComponentChange(*key, old.get(key, ()), new.get(key, ()))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def _versions(inventory: Inventory) -> Mapping[tuple[Kind, str], tuple[str, ...]]:
    found: dict[tuple[Kind, str], set[str]] = {}
    for component in inventory.components:
        found.setdefault((component.kind, component.name), set()).add(component.version)
    return {key: tuple(sorted(versions)) for key, versions in found.items()}
