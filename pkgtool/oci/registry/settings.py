"""How registries are spoken to: everything that the environment or pkgtool.yml decides, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often an idempotent request is tried, and how long is waited in between (seconds)."""

    attempts: int = 6
    first_wait: float = 0.3
    longest_wait: float = 20.0
    longest_retry_after: float = 120.0
    """A registry that asks for more patience than this gets none: the error says how long it wants."""


def certificate_directories() -> tuple[Path, ...]:
    """Where Docker and the containers tools look for certificates of single hosts; the first that has the host wins."""
    home = Path.home() / ".config"
    return (
        home / "docker" / "certs.d",
        home / "containers" / "certs.d",
        Path("/etc/docker/certs.d"),
        Path("/etc/containers/certs.d"),
    )


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """`state` is a private directory (the store's) for locks and unfinished uploads; without one nothing is kept."""

    insecure: frozenset[str] = frozenset()
    """Hosts (with their port) where plain HTTP is allowed though they are not loopback."""
    docker_config: Path | None = None
    """The directory of Docker's config.json; by default Docker's own choice."""
    certificates: tuple[Path, ...] = field(default_factory=certificate_directories)
    state: Path | None = None
    parallel: int = 8
    """Uploads at a time."""
    chunk: int = 32 * MEBIBYTE
    """Bytes per request of a large upload; smaller blobs go in one request."""
    retry: RetryPolicy = RetryPolicy()
    connect_seconds: float = 15.0
    read_seconds: float = 60.0
