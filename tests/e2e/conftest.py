"""The tree's own packages, built: from the store that `make build` filled, so that nothing is built twice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command_line import PROJECT, CommandLine
from tests.support.offline import no_network
from tests.support.store_images import StoredImage, stored

_STORE = os.environ.get("PKGTOOL_STORE", "")  # before tests get an environment of their own
PACKAGES = ("getty", "sshd", "vsudd", "vpnkit-forwarder")
PLATFORMS = ("linux/amd64", "linux/arm64")


@dataclass(frozen=True, slots=True)
class Built:
    """The packages, built for all platforms."""

    pkgtool: CommandLine

    def image(self, package: str, arch: str = "amd64") -> StoredImage:
        reference = self.pkgtool.run("show-tag", package).ok().out.strip()
        return stored(self.pkgtool.store, f"{reference}-{arch}")


@pytest.fixture(scope="session")
def built() -> Built:
    """Everything that the tests run. A no-op if it is built already."""
    line = CommandLine(PROJECT, Path(_STORE) if _STORE else _default_store())
    line.run("build", "--platform", ",".join(PLATFORMS), "--progress", "plain", *PACKAGES, timeout=1800).ok()
    return Built(line)


def _default_store() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "pkgtool" / "store"


@pytest.fixture(scope="session")
def unpacked(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Unpack an image once: the directory must not be changed."""
    done: dict[tuple[str, str], Path] = {}

    def unpack(package: str, arch: str = "amd64") -> Path:
        if (package, arch) not in done:
            place = tmp_path_factory.mktemp(f"{package}-{arch}") / "rootfs"
            done[package, arch] = built.image(package, arch).unpack(place)
        return done[package, arch]

    return unpack


@pytest.fixture
def rootfs(unpacked: Callable[[str, str], Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of an unpacked image for the test alone."""

    def copy(package: str, arch: str = "amd64") -> Path:
        target = tmp_path / f"{package}-{arch}"
        subprocess.run(["cp", "-a", "--reflink=auto", unpacked(package, arch), target], check=True)
        return target

    return copy


@pytest.fixture
def offline() -> Iterator[None]:
    """A network of the test's own: loopback alone, and every port free."""
    with no_network():
        yield
