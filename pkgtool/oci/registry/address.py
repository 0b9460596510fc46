"""Where a registry is: a host with an optional port, and a path prefix before all its repositories."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from pkgtool.errors import ConfigError
from pkgtool.values import ImageRef

DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"
_DOCKER_HUB_NAMES = frozenset((DOCKER_HUB, "index.docker.io", _DOCKER_HUB_API))


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """`localhost:5000` or `registry.example.com/team/images`; `prefix` has no slash at its ends."""

    host: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises `ConfigError` for anything that is not a host with an optional path (a scheme, a password)."""
        if "@" in text:  # never repeat it: what stands before it is a password
            raise ConfigError(
                "a registry's address must not hold a user name or password",
                hint="write the host alone, and give the credentials with 'docker login HOST'",
            )
        if "://" in text:
            raise ConfigError(
                f"{text!r} is not a registry: write it without {text.partition('://')[0]}://",
                hint="TLS is used everywhere but on loopback and for hosts that pkgtool.yml names as insecure",
            )
        if text.startswith("/"):
            # Such as "$REGISTRY/team" with a variable that is not set: what follows must not be taken for the host.
            raise ConfigError(f"{text!r} is not a registry: no host stands before its path")
        host, _, prefix = text.rstrip("/").partition("/")
        try:
            ImageRef(f"{prefix}/x" if prefix else "x", host=host)
        except ValueError as problem:
            raise ConfigError(f"{text!r} is not a registry: {problem}") from problem
        if not host:
            raise ConfigError("the registry's address is empty")
        return cls(DOCKER_HUB if host in _DOCKER_HUB_NAMES else host, prefix)

    @property
    def api_host(self) -> str:
        """The host that requests go to."""
        return _DOCKER_HUB_API if self.host == DOCKER_HUB else self.host

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def repository(self, name: str) -> str:
        """The repository's whole path on this host."""
        if self.prefix:
            return f"{self.prefix}/{name}"
        return f"library/{name}" if self.host == DOCKER_HUB and "/" not in name else name

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host


def is_loopback(host: str) -> bool:
    """Whether a host (with or without a port) is this machine: what goes there never meets a network."""
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
