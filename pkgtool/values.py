"""Small values that can't be wrong once they exist: digests, platforms, image references.

All are frozen and validated on construction; a bad one raises `ValueError` with a message fit for people,
which the edges (command line, configuration, registry) turn into an error with a place.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+\Z")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A content digest as OCI writes it, `sha256:…` or `sha512:…` (OCI image-spec, descriptor.md)."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        length = _HEX_LENGTH.get(self.algorithm)
        if length is None:
            raise ValueError(f"unknown digest algorithm {self.algorithm!r}, expected sha256 or sha512")
        if len(self.hex) != length or not _HEX.match(self.hex):
            raise ValueError(f"{self.hex!r} is not {length} lower-case hexadecimal digits")

    @classmethod
    def parse(cls, text: str) -> Digest:
        algorithm, colon, hexadecimal = text.partition(":")
        if not colon:
            raise ValueError(f"{text!r} is not a digest such as sha256:…")
        return cls(algorithm, hexadecimal)

    @classmethod
    def of(cls, content: bytes) -> Digest:
        """The sha256 of `content`."""
        return cls("sha256", hashlib.sha256(content).hexdigest())

    @property
    def short(self) -> str:
        """The first 12 digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


_ARCH_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386", "i686": "386"}
_PLATFORM_PART = re.compile(r"[a-z0-9_.]+\Z")


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """An OCI platform: `linux/amd64`, `linux/arm64`, `linux/arm/v7`."""

    os: str
    arch: str
    variant: str = ""

    def __post_init__(self) -> None:
        for part in (self.os, self.arch, *([self.variant] if self.variant else [])):
            if not _PLATFORM_PART.match(part):
                raise ValueError(f"{part!r} can't be part of a platform such as linux/amd64")

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Accepts `linux/amd64`, `linux/arm/v7`, a bare architecture (`arm64`) and uname's names (`aarch64`)."""
        parts = text.strip().lower().split("/")
        if len(parts) == 1:
            parts = ["linux", *parts]
        if len(parts) > 3 or not all(parts):
            raise ValueError(f"{text!r} is not a platform such as linux/amd64")
        os_name, arch, *variant = parts
        return cls(os_name, _ARCH_ALIASES.get(arch, arch), variant[0] if variant else "")

    @property
    def suffix(self) -> str:
        """What LinuxKit appends to a tag for one architecture: `amd64`, `arm64`, `armv7`."""
        return self.arch + self.variant

    def __str__(self) -> str:
        return f"{self.os}/{self.arch}" + (f"/{self.variant}" if self.variant else "")


_HOST = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?\Z")
_NAME_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


def is_tag(text: str) -> bool:
    """Whether `text` can be a tag (OCI distribution-spec: at most 128 characters of a fixed set)."""
    return bool(_TAG.match(text))


def is_repository(text: str) -> bool:
    """Whether `text` can be a repository path such as `linuxkit/getty` (OCI distribution-spec)."""
    return len(text) <= 255 and all(_NAME_PART.match(part) for part in text.split("/"))


def check_organisation(text: str) -> None:
    """Raise `ValueError` if `text` can't stand before an image's name: `linuxkit`, `ghcr.io/a/b`."""
    ImageRef.parse(f"{text}/x")


@dataclass(frozen=True, slots=True, order=True)
class ImageRef:
    """An image reference `[host[:port]/]repository[:tag][@digest]`; an absent host stays absent."""

    repository: str
    tag: str = ""
    digest: Digest | None = None
    host: str = ""

    def __post_init__(self) -> None:
        if self.host and not _HOST.match(self.host):
            raise ValueError(f"{self.host!r} is not a registry host")
        if not is_repository(self.repository):
            raise ValueError(
                f"{self.repository!r} is not a repository name: "
                "lower-case letters and digits with single . _ - between them, parts joined by /"
            )
        if self.tag and not is_tag(self.tag):
            raise ValueError(f"{self.tag!r} is not a tag: at most 128 letters, digits, . _ - and no leading . or -")

    @classmethod
    def parse(cls, text: str) -> ImageRef:
        rest, at, digest = text.partition("@")
        host, slash, remainder = rest.partition("/")
        # Docker's rule: the first part is a host if it looks like one, else it belongs to the repository.
        if not (slash and (host == "localhost" or "." in host or ":" in host)):
            host, remainder = "", rest
        repository, _, tag = remainder.partition(":")
        if remainder.endswith(":"):
            raise ValueError(f"{text!r} ends in a colon without a tag")
        return cls(repository, tag, Digest.parse(digest) if at else None, host)

    @property
    def name(self) -> str:
        """Host and repository, without tag and digest."""
        return f"{self.host}/{self.repository}" if self.host else self.repository

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
