"""SLSA provenance, version 1 (slsa.dev/spec/v1.0/provenance), from the facts of a build."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pkgtool.signing.statements.facts import BuildFacts, Material, ParentImage, Source, SourcePart
from pkgtool.signing.statements.statement import PROVENANCE, Statement, Subject
from pkgtool.values import Digest, Platform

BUILD_TYPE = "https://pkgtool.dev/build/v1"
"""A platform's image. What the parameters mean is in docs/signing.md."""
INDEX_BUILD_TYPE = "https://pkgtool.dev/index/v1"
"""An index, made of manifests."""


def provenance(facts: BuildFacts, manifest: Digest) -> Statement:
    """The provenance of one platform's image."""
    return Statement((Subject.of(manifest, facts.package),), PROVENANCE, _predicate(facts))


def index_provenance(facts: BuildFacts, manifests: Mapping[Platform, Digest], index: Digest) -> Statement:
    """The provenance of an index: it is put together from the platforms' manifests, each with a provenance of its own.

    `facts` are those of any of its platforms; only what they have in common is used.
    """
    predicate = {
        "buildDefinition": {
            "buildType": INDEX_BUILD_TYPE,
            "externalParameters": {
                "source": _git_uri(facts.source),
                "path": facts.source.path,
                "package": facts.package,
                "tag": facts.tag,
                "platforms": [str(platform) for platform in sorted(manifests)],
            },
            "internalParameters": {"hermetic": facts.hermetic},
            "resolvedDependencies": [
                _source(facts.source),
                *(
                    {
                        "name": f"{facts.package} {platform}",
                        "uri": f"oci://{facts.package}@{digest}",
                        "digest": {digest.algorithm: digest.hex},
                        "annotations": {"role": "platform", "platform": str(platform)},
                    }
                    for platform, digest in sorted(manifests.items())
                ),
            ],
        },
        "runDetails": {
            "builder": {"id": facts.builder.id, "version": {"pkgtool": facts.pkgtool_version}},
            "metadata": _metadata(facts),
        },
    }
    return Statement((Subject.of(index, facts.package),), PROVENANCE, predicate)


def essence_of_index(predicate: Mapping[str, Any]) -> object:
    """What must differ for two provenances of one index to be worth having both.

    An index is put together from the same manifests at every signing; which commit was checked out then, and in
    which run, makes nothing new of it.
    """
    definition, details = predicate.get("buildDefinition"), predicate.get("runDetails")
    if not isinstance(definition, Mapping) or not isinstance(details, Mapping):
        return predicate
    builder = details.get("builder")
    return (
        definition.get("buildType"),
        definition.get("externalParameters"),
        builder.get("id") if isinstance(builder, Mapping) else None,
    )


def _predicate(facts: BuildFacts) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "source": _git_uri(facts.source),
                "path": facts.source.path,
                "package": facts.package,
                "name": facts.name,
                "tag": facts.tag,
                "platform": str(facts.platform),
                "arguments": dict(sorted(facts.arguments.items())),
                "settings": dict(sorted(facts.settings.items())),
            },
            "internalParameters": {
                "fingerprint": str(facts.fingerprint),
                "imageFormat": facts.image_format,
                "hermetic": facts.hermetic,
                "sourceDateEpoch": facts.source_date_epoch,
                "engine": facts.engine,
            },
            "resolvedDependencies": [
                _source(facts.source),
                *(_part(facts.source, each) for each in facts.source.parts),
                *(_material(each) for each in sorted(facts.materials, key=lambda each: (each.uri, each.name))),
                *(_parent(each) for each in sorted(facts.parents, key=lambda each: (each.role, each.reference))),
            ],
        },
        "runDetails": {
            "builder": {
                "id": facts.builder.id,
                "version": {"pkgtool": facts.pkgtool_version, facts.engine: facts.engine_version},
            },
            "metadata": _metadata(facts),
            "byproducts": [{"name": "log", "digest": {facts.log.algorithm: facts.log.hex}}] if facts.log else [],
        },
    }


def _metadata(facts: BuildFacts) -> dict[str, str]:
    """The only place where a time may stand."""
    found = {"invocationId": facts.builder.invocation, "startedOn": "", "finishedOn": ""}
    if facts.started:
        found["startedOn"] = rfc3339(facts.started)
    if facts.finished:
        found["finishedOn"] = rfc3339(facts.finished)
    return {name: value for name, value in found.items() if value}


def _git_uri(source: Source) -> str:
    return source.url if source.url.startswith("git+") else f"git+{source.url}"


def _source(source: Source) -> dict[str, Any]:
    digests = {"gitCommit": source.commit}
    if source.tree:
        digests["gitTree"] = source.tree
    return {
        "name": "source",
        "uri": f"{_git_uri(source)}@{source.commit}",
        "digest": digests,
        "annotations": {"dirty": source.dirty, "path": source.path, **_submodules(source)},
    }


def _submodules(source: Source) -> dict[str, Any]:
    changed = dict(source.dirty_submodules)
    return {"dirtySubmodules": changed} if changed else {}


def _part(source: Source, part: SourcePart) -> dict[str, Any]:
    """Beside the package's own directory, from the same commit; a file is named by its blob."""
    annotations = {"path": part.path, "destination": part.destination}
    if part.mode:
        annotations["mode"] = part.mode
    return {
        "name": f"source of {part.destination}",
        "uri": f"{_git_uri(source)}@{source.commit}",
        "digest": {"gitCommit": source.commit, "gitBlob" if part.mode else "gitTree": part.id},
        "annotations": annotations,
    }


def _material(material: Material) -> dict[str, Any]:
    document: dict[str, Any] = {"name": material.name} if material.name else {}
    document |= {"uri": material.uri, "digest": dict(sorted(material.digests.items()))}
    if material.annotations:
        document["annotations"] = dict(sorted(material.annotations.items()))
    return document


def _parent(parent: ParentImage) -> dict[str, Any]:
    annotations = {"role": parent.role}
    if parent.package:
        annotations |= {"package": parent.package, "hash": parent.content_hash}
    if parent.platform:
        annotations["platform"] = str(parent.platform)
    return {
        "name": parent.reference,
        "uri": f"oci://{parent.reference}",
        "digest": {parent.digest.algorithm: parent.digest.hex},
        "annotations": annotations,
    }


def rfc3339(moment: datetime) -> str:
    """A time as in-toto's predicates write it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
