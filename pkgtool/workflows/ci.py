"""The matrix of a CI run, and why a package is in it or not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.ci.matrix import Job, changed, plan_jobs
from pkgtool.errors import ConfigError, Location, UsageError
from pkgtool.events import ignore
from pkgtool.fingerprint import Fingerprint
from pkgtool.fingerprint.explain import Change, explain
from pkgtool.values import Platform
from pkgtool.workflows.history import fingerprints_at
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.registries import open_registry, require_registry
from pkgtool.workflows.tree import Tree, open_store, open_tree, target_platforms
from pkgtool.workflows.why import changed_files

_AT_ONCE = 16
_GITHUB_RUNNERS = {"linux/amd64": "ubuntu-24.04", "linux/arm64": "ubuntu-24.04-arm"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a package is in the matrix, and what moved its tag."""

    package: str
    included: bool
    reason: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class MatrixOptions:
    """What a matrix is about: everything, or what changed `since` a revision, or what a registry has not.

    `timings` is a file with recorded times instead of the store's; `shards` 0 leaves that to pkgtool.yml.
    """

    since: str = ""
    unpublished: bool = False
    shards: int = 0
    timings: Path | None = None
    one_wave: bool = False


def matrix(options: RunOptions, chosen: MatrixOptions, packages: Sequence[str]) -> tuple[Job, ...]:
    """The jobs that build what the options choose, and all that stands on it.

    Raises `SourceError` for an unknown revision, `ConfigError` for a platform without a runner, `RegistryError` if
    the registry can't answer.
    """
    tree = open_tree(options, packages)
    platforms = target_platforms(options, tree.workspace, all_by_default=True)
    return plan_jobs(
        tree.workspace.packages,
        _changed(options, tree, chosen.since),
        platforms,
        runners=_runners(tree, platforms),
        timings=_timings(options, tree, chosen.timings),
        shards=chosen.shards or tree.workspace.settings.ci.shards,
        published=_published(options, tree, platforms) if chosen.unpublished else (),
        one_wave=chosen.one_wave,
    )


def explanations(options: RunOptions, packages: Sequence[str], *, since: str) -> list[Explanation]:
    """For every package whether and why it is in the matrix."""
    tree = open_tree(options, packages)
    _, before = fingerprints_at(options, tree, tree.names, since)
    platforms = target_platforms(options, tree.workspace, all_by_default=True)
    return [_explain(tree, before, name, platforms) for name in tree.names]


def _explain(tree: Tree, before: Mapping[str, Fingerprint], name: str, platforms: Sequence[Platform]) -> Explanation:
    if not set(tree.package(name).platforms) & set(platforms):
        return Explanation(name, False, "it is made for none of the platforms")
    if name not in before:
        return Explanation(name, True, "it is new")
    changes = explain(name, before, tree.fingerprints, lambda old, new: changed_files(tree, old, new))
    return Explanation(name, bool(changes), "its tag moved" if changes else "its tag is the same", changes)


def _changed(options: RunOptions, tree: Tree, since: str) -> tuple[str, ...]:
    if not since:
        return tuple(name for name in tree.fingerprints if name in tree.names)
    _, before = fingerprints_at(options, tree, tree.names, since)
    chosen = {name: tree.package(name) for name in tree.fingerprints}
    return tuple(name for name in changed(chosen, before, tree.fingerprints) if name in tree.names)


def _published(options: RunOptions, tree: Tree, platforms: Sequence[Platform]) -> set[tuple[str, Platform]]:
    """The packages and platforms whose images the registry has under their current tags."""
    address = require_registry(options, tree.workspace, [tree.fingerprints[name] for name in tree.names])
    asked = [(n, p) for n in tree.names for p in tree.package(n).platforms if p in platforms]
    with open_registry(address, tree.workspace, None, events=ignore, cancel=Cancellation()) as registry:

        def there(name: str, platform: Platform) -> bool:
            reference = tree.fingerprints[name].platform_reference(platform)
            return registry.repository(reference.repository).resolve(reference.tag) is not None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(lambda each: there(*each), asked))
    return {each for each, found in zip(asked, answers, strict=True) if found}


def _runners(tree: Tree, platforms: Sequence[Platform]) -> dict[Platform, str]:
    known = {Platform.parse(name): label for name, label in _GITHUB_RUNNERS.items()}
    known.update(tree.workspace.settings.ci.runners)
    missing = [platform for platform in platforms if platform not in known]
    if missing:
        raise ConfigError(
            f"no runner is named for {missing[0]}",
            location=Location("pkgtool.yml"),
            hint=f"ci: {{runners: {{{missing[0]}: LABEL}}}}",
        )
    return known


def _timings(options: RunOptions, tree: Tree, file: Path | None) -> Mapping[str, float]:
    if file is None:
        return open_store(options, tree.workspace).timings()
    try:
        document = json.loads(file.read_bytes())
        return {str(step): float(seconds) for step, seconds in document.items()}
    except (OSError, ValueError, TypeError, AttributeError) as problem:
        raise UsageError(f"{file} holds no times: {problem}", hint="a JSON object: step id to seconds") from problem
