"""Debian's names for OCI platforms."""

from __future__ import annotations

from collections.abc import Iterable

from pkgtool.errors import ConfigError
from pkgtool.values import Platform

_DEBIAN = {
    "386": "i386",
    "amd64": "amd64",
    "arm64": "arm64",
    "loong64": "loong64",
    "mips64le": "mips64el",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


def debian_architecture(platform: Platform) -> str:
    """`amd64` for linux/amd64, `armhf` for linux/arm/v7. Raises `ConfigError` where Debian has no port."""
    if platform.arch == "arm":
        return "armel" if platform.variant in ("v5", "v6") else "armhf"
    if platform.os != "linux" or platform.arch not in _DEBIAN:
        raise ConfigError(f"Debian has no packages for {platform}", hint="take it out of the package's platforms")
    return _DEBIAN[platform.arch]


def debian_architectures(platforms: Iterable[Platform]) -> tuple[str, ...]:
    """The architectures of several platforms, sorted."""
    return tuple(sorted({debian_architecture(platform) for platform in platforms}))
