"""pkgtool.yml → `TreeSettings`."""

from __future__ import annotations

from pkgtool.config.schema import TreeSchema
from pkgtool.config.validation import read_schema
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError
from pkgtool.model import TreeSettings
from pkgtool.source.trees import SourceTree
from pkgtool.values import Platform

FILE = "pkgtool.yml"


def read_settings(tree: SourceTree) -> tuple[TreeSettings, list[ConfigError]]:
    """The tree's defaults, and every problem of the file; an absent file means the defaults of pkgtool."""
    content = tree.read(FILE)
    if content is None or not content.strip():
        return TreeSettings(), []
    source = Source(FILE, content)
    schema, problems = read_schema(source, TreeSchema)
    if schema is None:
        return TreeSettings(), problems
    platforms = []
    for position, text in enumerate(schema.platforms):
        try:
            platforms.append(Platform.parse(text))
        except ValueError as problem:
            problems.append(ConfigError(str(problem), location=locate(source, ("platforms", position))))
    mirrors = sorted(schema.mirrors.items(), key=lambda item: (-len(item[0]), item[0]))
    settings = TreeSettings(
        org=schema.org,
        platforms=tuple(platforms),
        packages=tuple(schema.packages),
        source_url=schema.source,
        source_date_epoch=schema.source_date_epoch,
        registry=schema.registry,
        store=schema.store,
        mirrors=tuple((str(prefix), str(target)) for prefix, target in mirrors),
        debian_mirror=schema.debian_mirror.rstrip("/"),
        debian_snapshot=schema.debian_snapshot.rstrip("/"),
        insecure_registries=tuple(schema.insecure_registries),
    )
    return settings, problems
