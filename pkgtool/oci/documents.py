"""OCI documents: descriptors, manifests, indexes and image configurations (OCI image-spec 1.1).

Documents that pkgtool writes have one byte representation (`encode`): fields in the order given here, no
white space, UTF-8. Documents that come from elsewhere are parsed with limits on size and depth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pkgtool.errors import PkgtoolError, StoreError
from pkgtool.values import Digest, Platform

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

MANIFEST_TYPES = frozenset((MANIFEST, DOCKER_MANIFEST))
INDEX_TYPES = frozenset((INDEX, DOCKER_INDEX))

REF_NAME = "org.opencontainers.image.ref.name"

MAX_DOCUMENT = 4 * 1024 * 1024
"""Bytes. The distribution-spec asks registries to accept manifests of at least 4 MiB; none of ours comes near."""
MAX_DEPTH = 64


def encode(document: Mapping[str, Any]) -> bytes:
    """The one byte representation of a document that pkgtool writes."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def decode(
    content: bytes, *, what: str, error: type[PkgtoolError] = StoreError, limit: int = MAX_DOCUMENT
) -> dict[str, Any]:
    """Parse a JSON object of at most `limit` bytes that comes from elsewhere.

    Raises `error` if it is too large, nested too deeply, not JSON, not an object, or has a key twice.
    """
    if len(content) > limit:
        raise error(f"{what} is {len(content)} bytes long, more than the {limit} allowed")
    if _depth(content) > MAX_DEPTH:
        raise error(f"{what} is nested more than {MAX_DEPTH} levels deep")
    try:
        document = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as problem:
        raise error(f"{what} is not valid JSON: {problem}") from problem
    if not isinstance(document, dict):
        raise error(f"{what} is not a JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key occurs twice")
    return document


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _depth(content: bytes) -> int:
    """An upper bound of the nesting depth, without recursion (brackets inside strings count too)."""
    depth = deepest = 0
    for bracket in content.translate(None, _NOT_BRACKETS):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth = max(0, depth - 1)
    return deepest


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What points at content: media type, digest, size in bytes (OCI image-spec, descriptor.md)."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: bytes, media_type: str, **extra: Any) -> Descriptor:
        return cls(media_type, Digest.of(content), len(content), **extra)

    @classmethod
    def parse(cls, document: Any, *, what: str, error: type[PkgtoolError] = StoreError) -> Descriptor:
        """Read a descriptor out of a parsed document; raises `error` naming `what` if it is malformed."""
        try:
            platform = document.get("platform")
            annotations = document.get("annotations") or {}
            size = document["size"]
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise ValueError(f"size {size!r} is not a number of bytes")
            if not all(isinstance(k, str) and isinstance(v, str) for k, v in annotations.items()):
                raise ValueError("annotations must be strings")
            return cls(
                str(document.get("mediaType", "")),
                Digest.parse(document["digest"]),
                size,
                platform=_parse_platform(platform) if platform else None,
                artifact_type=str(document.get("artifactType", "")),
                annotations=annotations,
            )
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            raise error(f"{what} holds a malformed descriptor: {problem}") from problem

    def document(self) -> dict[str, Any]:
        result: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.annotations:
            result["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform:
            result["platform"] = platform_document(self.platform)
        if self.artifact_type:
            result["artifactType"] = self.artifact_type
        return result

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES

    @property
    def is_manifest(self) -> bool:
        return self.media_type in MANIFEST_TYPES


def _parse_platform(document: Any) -> Platform | None:
    # BuildKit marks attestations with the platform unknown/unknown; it is no platform to run on.
    if document.get("os") in (None, "", "unknown") or document.get("architecture") in (None, "", "unknown"):
        return None
    return Platform(document["os"], document["architecture"], document.get("variant") or "")


def platform_document(platform: Platform) -> dict[str, str]:
    """A platform as it stands in an index."""
    document = {"architecture": platform.arch, "os": platform.os}
    if platform.variant:
        document["variant"] = platform.variant
    return document


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest: its configuration and layers, or an artifact with a subject."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = MANIFEST
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: bytes, *, what: str, error: type[PkgtoolError] = StoreError) -> Manifest:
        document = decode(content, what=what, error=error)
        media_type = document.get("mediaType", MANIFEST)
        layers = document.get("layers")
        if media_type not in MANIFEST_TYPES or "config" not in document or not isinstance(layers, list):
            raise error(f"{what} is not an image manifest (media type {media_type!r})")
        subject = document.get("subject")
        return cls(
            Descriptor.parse(document["config"], what=what, error=error),
            tuple(Descriptor.parse(layer, what=what, error=error) for layer in layers),
            media_type,
            str(document.get("artifactType", "")),
            Descriptor.parse(subject, what=what, error=error) if subject else None,
            document.get("annotations") or {},
        )

    def encode(self) -> bytes:
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": self.media_type}
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        document["config"] = self.config.document()
        document["layers"] = [layer.document() for layer in self.layers]
        if self.subject:
            document["subject"] = self.subject.document()
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        return encode(document)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """All the blobs that the manifest needs: its configuration, then its layers."""
        return (self.config, *self.layers)


@dataclass(frozen=True, slots=True)
class Index:
    """An image index: one manifest per platform."""

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = INDEX

    @classmethod
    def parse(cls, content: bytes, *, what: str, error: type[PkgtoolError] = StoreError) -> Index:
        document = decode(content, what=what, error=error)
        media_type = document.get("mediaType", INDEX)
        manifests = document.get("manifests")
        if media_type not in INDEX_TYPES or not isinstance(manifests, list):
            raise error(f"{what} is not an image index (media type {media_type!r})")
        return cls(
            tuple(Descriptor.parse(manifest, what=what, error=error) for manifest in manifests),
            document.get("annotations") or {},
            media_type,
        )

    @classmethod
    def of_platforms(cls, manifests: Sequence[Descriptor]) -> Index:
        """The canonical index of a package: its platforms' manifests in the order of their names."""
        return cls(tuple(sorted(manifests, key=lambda m: str(m.platform))))

    def encode(self) -> bytes:
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": self.media_type}
        document["manifests"] = [manifest.document() for manifest in self.manifests]
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        return encode(document)
