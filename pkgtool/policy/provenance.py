"""What a provenance statement must say, and reading the dependencies out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pkgtool.policy.model import ProvenanceRule
from pkgtool.signing.statements.provenance import BUILD_TYPE, INDEX_BUILD_TYPE
from pkgtool.values import Digest


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller knows of the image that it wants verified; empty fields don't matter."""

    repository: str = ""
    """Host and repository as it was asked for: the provenance must be of the package with that name."""
    tag: str = ""
    index: Digest | None = None
    platforms: tuple[tuple[str, Digest | None], ...] = ()
    """Platforms that must be there, with their digests where they are known (from a release file)."""
    alone: str = ""
    """The platform of a manifest that is verified by itself, before there is an index to hold it."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """An image that another one was built from or with."""

    reference: str
    digest: Digest


def objections(predicate: Mapping[str, Any], rule: ProvenanceRule, expected: Expected) -> list[str]:
    """All that the statement does not say as it must."""
    definition = _mapping(predicate, "buildDefinition")
    external = _mapping(definition, "externalParameters")
    internal = _mapping(definition, "internalParameters")
    found: list[str] = []
    if definition.get("buildType") not in (BUILD_TYPE, INDEX_BUILD_TYPE):
        found.append(f"it has the unknown build type {definition.get('buildType')!r}")
    builder = _mapping(_mapping(predicate, "runDetails"), "builder").get("id")
    if rule.builders and builder not in rule.builders:
        found.append(f"it is by the builder {builder!r}, not by {' or '.join(rule.builders)}")
    found += _source_objections(definition, external, rule)
    if rule.hermetic and internal.get("hermetic") is not True:
        found.append("its build steps had a network")
    package = external.get("package")
    if expected.repository and not _is_named(expected.repository, package):
        found.append(f"it is of the package {package!r}, and this is {expected.repository}")
    if expected.alone and external.get("platform") != expected.alone:
        found.append(f"it is for the platform {external.get('platform')!r}, not for {expected.alone!r}")
    if expected.tag and external.get("tag") != expected.tag:
        found.append(f"it is of the tag {external.get('tag')!r}, not of {expected.tag!r}")
    return found


def _source_objections(definition: Mapping[str, Any], external: Mapping[str, Any], rule: ProvenanceRule) -> list[str]:
    found: list[str] = []
    source = external.get("source")
    if rule.source and _repository(source) != _repository(rule.source):
        found.append(f"it was built from {source!r}, not from {rule.source}")
    entry = next((each for each in _dependencies(definition) if each.get("name") == "source"), {})
    if rule.clean and _mapping(entry, "annotations").get("dirty") is not False:
        found.append("it was built from a tree with changes that are in no commit")
    commit = _mapping(entry, "digest").get("gitCommit")
    if rule.commits and commit not in rule.commits:
        found.append(f"it was built from the commit {commit!r}, not from {' or '.join(rule.commits)}")
    return found


def dependencies(predicate: Mapping[str, Any]) -> list[Dependency]:
    """The images among the resolved dependencies (not an index's own manifests). Malformed ones raise `ValueError`."""
    found = []
    for entry in _dependencies(_mapping(predicate, "buildDefinition")):
        uri = entry.get("uri")
        if not isinstance(uri, str) or not uri.startswith("oci://"):
            continue
        if _mapping(entry, "annotations").get("role") == "platform":
            continue
        ((algorithm, hexadecimal),) = _mapping(entry, "digest").items()
        found.append(Dependency(uri.removeprefix("oci://"), Digest(algorithm, hexadecimal)))
    return found


def _dependencies(definition: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = definition.get("resolvedDependencies")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _repository(uri: object) -> str:
    return str(uri).removeprefix("git+").removesuffix("/").removesuffix(".git")


def _is_named(repository: str, package: object) -> bool:
    """`host/prefix/linuxkit/getty` is the package `linuxkit/getty`."""
    return isinstance(package, str) and bool(package) and f"/{repository}".endswith(f"/{package}")
