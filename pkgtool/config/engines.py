"""`engines:` of pkgtool.yml → builders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pkgtool.config.schema import EngineFile
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError
from pkgtool.nodes import DEFAULT_JOBS, Node, Trust, parse_endpoint
from pkgtool.values import Platform


def read_engines(source: Source, entries: Sequence[EngineFile]) -> tuple[tuple[Node, ...], list[ConfigError]]:
    """The builders in the order of the file, and every problem with them."""
    nodes: dict[str, Node] = {}
    problems = []
    for position, entry in enumerate(entries):
        try:
            node = _node(entry)
        except _Wrong as wrong:
            problems.append(ConfigError(str(wrong), location=locate(source, ("engines", position, *wrong.place))))
            continue
        if node.name in nodes:
            text = f"two engines are called {node.name!r}"
            problems.append(
                ConfigError(text, location=locate(source, ("engines", position)), hint="give one another 'name'")
            )
        nodes[node.name] = node
    return tuple(nodes.values()), problems


class _Wrong(ValueError):
    def __init__(self, problem: ValueError, *place: str | int) -> None:
        super().__init__(str(problem))
        self.place = place


def _node(entry: EngineFile) -> Node:
    try:
        endpoint, trust, jobs = parse_endpoint(entry.endpoint)
    except ValueError as problem:
        raise _Wrong(problem, "endpoint") from problem
    platforms = []
    for position, text in enumerate(entry.platforms):
        try:
            platforms.append(Platform.parse(text))
        except ValueError as problem:
            raise _Wrong(problem, "platforms", position) from problem
    given = Trust(entry.ca, entry.certificate, entry.private_key, entry.server_name)
    node = Node(entry.name or str(endpoint).partition("://")[2] or str(endpoint), endpoint, tuple(platforms))
    return replace(
        node,
        trust=given if any((given.ca, given.certificate, given.server_name)) else trust,
        jobs=entry.jobs or jobs or DEFAULT_JOBS,
    )
