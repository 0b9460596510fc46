"""The dependency graph as text, Graphviz dot, Mermaid and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from pkgtool.graph import closure, in_order
from pkgtool.model import Dependency, Package, Role

_ARROWS = {Role.PACKAGE: "-->", Role.REFERENCE: "-->", Role.TOOL: "-.->"}

Writer = Callable[[Mapping[str, Package], Sequence[str]], str]


def as_text(packages: Mapping[str, Package], names: Sequence[str]) -> str:
    """In build order, each package with what it depends on."""
    lines = []
    for name in in_order(packages, names):
        needs = [d.name + (f" ({d.role.value})" if d.role is not Role.PACKAGE else "") for d in _edges(packages, name)]
        lines.append(f"{name} ← {', '.join(needs)}" if needs else name)
    return "\n".join(lines)


def as_dot(packages: Mapping[str, Package], names: Sequence[str]) -> str:
    """For Graphviz; tools are dashed."""
    lines = ["digraph packages {", "  rankdir=LR;"]
    for name in in_order(packages, names):
        lines.append(f'  "{name}";')
        for edge in _edges(packages, name):
            style = " [style=dashed]" if edge.role is Role.TOOL else ""
            lines.append(f'  "{name}" -> "{edge.name}"{style};')
    return "\n".join([*lines, "}"])


def as_mermaid(packages: Mapping[str, Package], names: Sequence[str]) -> str:
    """For Markdown that renders Mermaid; tools are dotted."""
    lines = ["graph LR"]
    for number, name in enumerate(order := in_order(packages, names)):
        lines.append(f'  n{number}["{name}"]')
        lines += [f"  n{number} {_ARROWS[edge.role]} n{order.index(edge.name)}" for edge in _edges(packages, name)]
    return "\n".join(lines)


def as_json(packages: Mapping[str, Package], names: Sequence[str]) -> str:
    """An object with nodes and edges."""
    chosen = sorted(closure(packages, names))
    edges = [
        {"from": name, "to": edge.name, "role": edge.role.value} for name in chosen for edge in _edges(packages, name)
    ]
    return json.dumps({"packages": chosen, "edges": edges}, indent=2)


def _edges(packages: Mapping[str, Package], name: str) -> list[Dependency]:
    return sorted(packages[name].dependencies, key=lambda d: (d.role.value, d.name))


FORMATS: Mapping[str, Writer] = {"text": as_text, "dot": as_dot, "mermaid": as_mermaid, "json": as_json}
