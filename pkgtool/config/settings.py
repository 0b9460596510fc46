"""pkgtool.yml → `TreeSettings`."""

from __future__ import annotations

from pkgtool.config import typed
from pkgtool.config.engines import read_engines
from pkgtool.config.schema import TreeFile
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError
from pkgtool.model import CISettings, TreeSettings
from pkgtool.source.trees import SourceTree
from pkgtool.values import Platform

FILE = "pkgtool.yml"


def read_settings(tree: SourceTree) -> tuple[TreeSettings, list[ConfigError]]:
    """The tree's defaults, and every problem of the file; an absent file means the defaults of pkgtool."""
    content = tree.read(FILE)
    if content is None or not content.strip():
        return TreeSettings(), []
    source = Source(FILE, content)
    file, problems = typed.read(source, TreeFile)
    if file is None:
        return TreeSettings(), problems
    platforms = []
    for position, text in enumerate(file.platforms):
        try:
            platforms.append(Platform.parse(text))
        except ValueError as problem:
            problems.append(ConfigError(str(problem), location=locate(source, ("platforms", position))))
    runners = []
    for name, label in (file.ci.runners or {}).items():
        try:
            runners.append((Platform.parse(name), label))
        except ValueError as problem:
            problems.append(ConfigError(str(problem), location=locate(source, ("ci", "runners", name), key=True)))
    engines, wrong = read_engines(source, file.engines)
    problems += wrong
    mirrors = sorted((file.mirrors or {}).items(), key=lambda item: (-len(item[0]), item[0]))
    settings = TreeSettings(
        org=file.org,
        platforms=tuple(platforms),
        packages=tuple(file.packages),
        source_url=file.source,
        source_date_epoch=file.source_date_epoch,
        registry=file.registry,
        store=file.store,
        mirrors=tuple((str(prefix), str(target)) for prefix, target in mirrors),
        debian_mirror=file.debian_mirror.rstrip("/"),
        debian_snapshot=file.debian_snapshot.rstrip("/"),
        insecure_registries=tuple(file.insecure_registries),
        ci=CISettings(tuple(runners), file.ci.shards),
        engines=engines,
    )
    return settings, problems
