"""pkgtool.yml → `TreeSettings`."""

from __future__ import annotations

from collections.abc import Iterator

from pkgtool.config import typed
from pkgtool.config.engines import read_engines
from pkgtool.config.schema import TreeFile
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError
from pkgtool.model import CISettings, KernelSettings, SigningSettings, TreeSettings
from pkgtool.source.trees import SourceTree
from pkgtool.values import Platform, check_organisation

FILE = "pkgtool.yml"

KeyPath = tuple[str | int, ...]


def read_settings(tree: SourceTree) -> tuple[TreeSettings, list[ConfigError]]:
    """The tree's defaults, and every problem of the file; an absent file means the defaults of pkgtool."""
    content = tree.read(FILE)
    if content is None or not content.strip():
        return TreeSettings(), []
    source = Source(FILE, content)
    file, problems = typed.read(source, TreeFile)
    if file is None:
        return TreeSettings(), problems
    for problem, where in (*_organisation(file), *_globs(file)):
        problems.append(ConfigError(problem, location=locate(source, where)))
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
        packages=tuple(pattern for pattern in file.packages if not _leaves(pattern)),
        source_url=file.source,
        source_date_epoch=file.source_date_epoch,
        registry=file.registry,
        store=file.store,
        mirrors=tuple((str(prefix), str(target)) for prefix, target in mirrors),
        debian_mirror=file.debian_mirror.rstrip("/"),
        debian_snapshot=file.debian_snapshot.rstrip("/"),
        insecure_registries=tuple(file.insecure_registries),
        ci=CISettings(tuple(runners), file.ci.shards),
        signing=SigningSettings(
            file.signing.private_key,
            file.signing.keyless,
            file.signing.trust_config,
            file.signing.signing_config,
            file.signing.trusted_root,
        ),
        kernels=KernelSettings(
            file.kernels.certificate,
            file.kernels.private_key,
            file.kernels.secure_boot_certificate,
            file.kernels.secure_boot_key,
        ),
        policy=file.policy,
        engines=engines,
    )
    return settings, problems


def _organisation(file: TreeFile) -> Iterator[tuple[str, KeyPath]]:
    if file.org:
        try:
            check_organisation(file.org)
        except ValueError as problem:
            yield f"{file.org!r} can't be an organisation: {problem}", ("org",)


def _globs(file: TreeFile) -> Iterator[tuple[str, KeyPath]]:
    for position, pattern in enumerate(file.packages):
        if _leaves(pattern):
            yield f"the glob {pattern!r} leaves the tree", ("packages", position)


def _leaves(pattern: str) -> bool:
    return not pattern or pattern.startswith("/") or ".." in pattern.split("/")
