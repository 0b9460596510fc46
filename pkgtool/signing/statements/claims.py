"""Statements about images that come after the build: verified, rebuilt, released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pkgtool.signing.statements.provenance import rfc3339
from pkgtool.signing.statements.statement import REBUILD, RELEASE, VSA, Statement, Subject
from pkgtool.values import Digest, Platform


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of a verification by policy."""

    resource: str
    """The reference that was verified."""
    policy_uri: str
    policy_digest: Digest
    passed: bool
    level: int
    """The SLSA Build level that was verified, from 0."""
    verifier: str
    verifier_version: str
    at: datetime
    evidence: tuple[Digest, ...] = ()
    """The bundles and layers that the decision rests on."""


def verification_summary(outcome: Verification, subject: Digest) -> Statement:
    """A SLSA verification summary (slsa.dev/spec/v1.0/verification_summary)."""
    predicate = {
        "verifier": {"id": outcome.verifier, "version": {"pkgtool": outcome.verifier_version}},
        "timeVerified": rfc3339(outcome.at),
        "resourceUri": outcome.resource,
        "policy": {
            "uri": outcome.policy_uri,
            "digest": {outcome.policy_digest.algorithm: outcome.policy_digest.hex},
        },
        "inputAttestations": [
            {"uri": f"oci-digest:{each}", "digest": {each.algorithm: each.hex}} for each in sorted(outcome.evidence)
        ],
        "verificationResult": "PASSED" if outcome.passed else "FAILED",
        "verifiedLevels": [f"SLSA_BUILD_LEVEL_{outcome.level}" if outcome.passed else "FAILED"],
        "slsaVersion": "1.0",
    }
    return Statement((Subject.of(subject, outcome.resource.partition("@")[0]),), VSA, predicate)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """That somebody built the same source again and got the same bytes."""

    package: str
    tag: str
    platforms: Mapping[Platform, Digest]
    """Every manifest that was rebuilt and compared."""
    rebuilder: str
    """A URI for who, or where."""
    pkgtool_version: str
    engine: str
    engine_version: str
    started: datetime
    finished: datetime
    provenance: tuple[Digest, ...] = ()
    """What lay beside it and says how it was built: the digests of those bundles."""


def rebuild(facts: Rebuild, subject: Digest) -> Statement:
    """The statement of an independent rebuild with equal digests. One with other digests must never be made."""
    predicate: dict[str, Any] = {
        "result": "identical",
        "package": facts.package,
        "tag": facts.tag,
        "manifests": {str(platform): str(digest) for platform, digest in sorted(facts.platforms.items())},
        "provenance": [{"digest": {each.algorithm: each.hex}} for each in sorted(facts.provenance)],
        "rebuilder": {
            "id": facts.rebuilder,
            "version": {"pkgtool": facts.pkgtool_version, facts.engine: facts.engine_version},
        },
        "metadata": {"startedOn": rfc3339(facts.started), "finishedOn": rfc3339(facts.finished)},
    }
    return Statement((Subject.of(subject, facts.package),), REBUILD, predicate)


@dataclass(frozen=True, slots=True)
class ReleasedPackage:
    """One package of a release."""

    name: str
    tag: str
    index: Digest
    platforms: Mapping[Platform, Digest]
    size: int = 0
    """Bytes of all its manifests, configurations and layers together; 0 if not known."""


@dataclass(frozen=True, slots=True)
class Release:
    """A named set of packages."""

    name: str
    source: str
    commit: str
    packages: tuple[ReleasedPackage, ...]
    file: Digest | None = None
    """The digest of the release file, if there is one."""
    file_name: str = "release.json"
    annotations: Mapping[str, str] = field(default_factory=dict)


def release(facts: Release) -> Statement:
    """The statement of a release: its subjects are the release file and every index, so either leads to it."""
    subjects: Sequence[Subject] = [
        *([Subject.of(facts.file, facts.file_name)] if facts.file else []),
        *(Subject.of(each.index, each.name) for each in _ordered(facts)),
    ]
    predicate: dict[str, Any] = {
        "name": facts.name,
        "source": {"uri": f"git+{facts.source}@{facts.commit}", "digest": {"gitCommit": facts.commit}},
        "packages": [_package(each) for each in _ordered(facts)],
    }
    if facts.annotations:
        predicate["annotations"] = dict(sorted(facts.annotations.items()))
    return Statement(tuple(subjects), RELEASE, predicate)


def _ordered(facts: Release) -> list[ReleasedPackage]:
    return sorted(facts.packages, key=lambda each: (each.name, each.tag))


def _package(package: ReleasedPackage) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": package.name,
        "tag": package.tag,
        "digest": str(package.index),
        "platforms": {str(platform): str(digest) for platform, digest in sorted(package.platforms.items())},
    }
    if package.size:
        document["size"] = package.size
    return document
