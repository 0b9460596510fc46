"""The release file: what a release consists of, by digest, for people, scripts and other registries.

A JSON document, the same bytes for the same release (no time, no machine in it):

    {
      "schemaVersion": 1,
      "mediaType": "application/vnd.pkgtool.release.v1+json",
      "name": "v1.2",                         the release tag that every package gets (see `ReleasedPackage.tag_in`)
      "git": {"commit": "40 hex digits", "tag": "v1.2"},      "tag" only if made from one
      "registry": "registry.example.com/team",
      "packages": [                           sorted by name
        {
          "name": "getty",                    as in the tree
          "repository": "linuxkit/getty",     below the registry
          "tag": "40 hex digits",             the package's own immutable tag
          "index": {"mediaType": …, "digest": …, "size": …},
          "size": 12345,                      bytes of all blobs and manifests, each counted once
          "platforms": [                      sorted by platform
            {"platform": "linux/amd64", "digest": …, "size": …, "imageSize": bytes of configuration and layers}
          ]
        }
      ]
    }

Readers ignore fields they don't know; a change that they could misread gets a new schemaVersion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkgtool.errors import ConfigError, Location
from pkgtool.oci import files
from pkgtool.oci.documents import Descriptor, decode
from pkgtool.oci.registry.describe import PublishedPackage
from pkgtool.values import Digest, Platform, is_repository, is_tag

SCHEMA_VERSION = 1
MEDIA_TYPE = "application/vnd.pkgtool.release.v1+json"
_HASH = re.compile(r"(?<![0-9a-z])[0-9a-f]{40}(?![0-9a-z])")


@dataclass(frozen=True, slots=True)
class ReleasedImage:
    """One platform's manifest: its digest, its own size and that of its configuration and layers, in bytes."""

    platform: Platform
    digest: Digest
    size: int
    image_size: int


@dataclass(frozen=True, slots=True)
class ReleasedPackage:
    name: str
    repository: str
    tag: str
    index: Descriptor
    size: int
    images: tuple[ReleasedImage, ...]

    @classmethod
    def of(cls, name: str, repository: str, tag: str, published: PublishedPackage) -> ReleasedPackage:
        """What `describe_published` found, as it stands in a release."""
        images = tuple(
            ReleasedImage(platform, image.descriptor.digest, image.descriptor.size, image.size)
            for platform, image in sorted(published.images.items(), key=lambda item: str(item[0]))
        )
        return cls(name, repository, tag, published.index, published.size, images)

    def tag_in(self, release: str) -> str:
        """The tag that a release of that name sets: the name itself.

        Where packages share a repository, as all kernels do, the name stands in the place of the hash instead:
        `6.1.192-HASH` becomes `6.1.192-v1.2`.
        """
        if self.repository.rpartition("/")[2] == self.name:
            return release
        return _HASH.sub(lambda _: release, self.tag, count=1)


@dataclass(frozen=True, slots=True)
class Release:
    """A release; `git_tag` is empty if it was not made from a git tag."""

    name: str
    commit: str
    registry: str
    packages: tuple[ReleasedPackage, ...]
    git_tag: str = ""

    def encode(self) -> bytes:
        """The release file."""
        git = {"commit": self.commit, **({"tag": self.git_tag} if self.git_tag else {})}
        document = {
            "schemaVersion": SCHEMA_VERSION,
            "mediaType": MEDIA_TYPE,
            "name": self.name,
            "git": git,
            "registry": self.registry,
            "packages": [_package_document(p) for p in sorted(self.packages, key=lambda p: p.name)],
        }
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()

    def tags_named(self, named: Iterable[str]) -> frozenset[str]:
        """The tags that `named` stands for: the release's own name means every tag that it sets."""
        tags = frozenset(named)
        return tags | {package.tag_in(self.name) for package in self.packages} if self.name in tags else tags

    def write(self, path: Path) -> None:
        """Put the file into its place at once."""
        files.write_atomic(path, self.encode())

    @classmethod
    def parse(cls, content: bytes, *, what: str) -> Release:
        """Raises `ConfigError`, naming `what`, if it is not a release file of a version that is understood."""
        document = decode(content, what=what, error=ConfigError)
        version = document.get("schemaVersion")
        if document.get("mediaType") != MEDIA_TYPE or version != SCHEMA_VERSION:
            newer = isinstance(version, int) and version > SCHEMA_VERSION
            raise ConfigError(
                f"{what} is not a release file of version {SCHEMA_VERSION}",
                location=Location(what),
                hint="use the pkgtool that made it" if newer else "'pkgtool release NAME' writes one",
            )
        try:
            git = document["git"]
            release = cls(
                str(document["name"]),
                str(git["commit"]),
                str(document["registry"]),
                tuple(_parse_package(entry, what) for entry in document["packages"]),
                str(git.get("tag", "")),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            raise ConfigError(f"{what} is not a valid release file: {problem}", location=Location(what)) from problem
        if not is_tag(release.name):
            raise ConfigError(f"{what} has a name that can't be a tag: {release.name!r}", location=Location(what))
        return release

    @classmethod
    def read(cls, path: Path) -> Release:
        """Raises `ConfigError` if the file is absent, unreadable or not a release file."""
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise ConfigError(f"{path} can't be read: {problem.strerror}") from problem
        return cls.parse(content, what=str(path))


def _package_document(package: ReleasedPackage) -> dict[str, Any]:
    return {
        "name": package.name,
        "repository": package.repository,
        "tag": package.tag,
        "index": package.index.document(),
        "size": package.size,
        "platforms": [
            {
                "platform": str(image.platform),
                "digest": str(image.digest),
                "size": image.size,
                "imageSize": image.image_size,
            }
            for image in sorted(package.images, key=lambda image: str(image.platform))
        ],
    }


def _parse_package(entry: Mapping[str, Any], what: str) -> ReleasedPackage:
    images = tuple(
        ReleasedImage(
            Platform.parse(image["platform"]),
            Digest.parse(image["digest"]),
            _bytes(image["size"]),
            _bytes(image["imageSize"]),
        )
        for image in entry["platforms"]
    )
    repository, tag = str(entry["repository"]), str(entry["tag"])
    if not is_repository(repository) or not is_tag(tag):
        raise ValueError(f"{repository}:{tag} is not a repository with a tag")
    index = Descriptor.parse(entry["index"], what=what, error=ConfigError)
    return ReleasedPackage(str(entry["name"]), repository, tag, index, _bytes(entry["size"]), images)


def _bytes(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is not a number of bytes")
    return value
