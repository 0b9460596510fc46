"""The dependency graph: order, closure, dependents, cycles. Pure functions over packages by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from pkgtool.model import Package


def find_cycles(packages: Mapping[str, Package]) -> list[list[str]]:
    """Circles of names without a name in common, first and last the same, each depending on the next.

    Dependencies on packages that are not there are passed over.
    """
    edges = {name: [d.name for d in package.dependencies] for name, package in packages.items()}
    found = []
    while circle := _find_cycle(edges):
        found.append(circle)
        for name in circle:
            edges.pop(name, None)
    return found


def _find_cycle(edges: Mapping[str, list[str]]) -> list[str]:
    try:
        TopologicalSorter({name: [n for n in needs if n in edges] for name, needs in edges.items()}).prepare()
    except CycleError as problem:
        # graphlib lists each node before those that depend on it: turned around, each depends on the next.
        return list(reversed(problem.args[1]))
    return []


def in_order(packages: Mapping[str, Package], names: Iterable[str] | None = None) -> list[str]:
    """Names in dependency order, of everything or of the closure of `names`; ties in alphabetical order."""
    chosen = set(packages) if names is None else closure(packages, names)
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(chosen):
        sorter.add(name, *(d.name for d in packages[name].dependencies))
    return list(sorter.static_order())


def closure(packages: Mapping[str, Package], names: Iterable[str]) -> set[str]:
    """These packages and all that they depend on, directly or not."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += (d.name for d in packages[name].dependencies)
    return found


def dependents(packages: Mapping[str, Package], names: Iterable[str]) -> set[str]:
    """All packages that depend on these, directly or not, without these themselves unless they do too."""
    users: dict[str, list[str]] = {}
    for package in packages.values():
        for dependency in package.dependencies:
            users.setdefault(dependency.name, []).append(package.name)
    found: set[str] = set()
    pending = [user for name in names for user in users.get(name, ())]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += users.get(name, ())
    return found
