"""The tree's own packages, built: from the store that `make build` filled, so that nothing is built twice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.command_line import PROJECT, CommandLine
from tests.support.docker_fixtures import docker_engine, docker_new, docker_old
from tests.support.emulation import emulator
from tests.support.offline import no_network
from tests.support.store_images import StoredImage, stored

__all__ = ["docker_engine", "docker_new", "docker_old"]

_STORE = os.environ.get("PKGTOOL_STORE", "")  # before tests get an environment of their own


@dataclass(frozen=True, slots=True)
class Built:
    """The packages, each built when a test first asks for it; a no-op if it is built already.

    `emulators` are kept as long as the fixture lives: foreign packages can be built, and what is in them run.
    """

    pkgtool: CommandLine
    emulators: ExitStack
    _images: dict[tuple[str, str], StoredImage] = field(default_factory=dict)

    def image(self, package: str, arch: str = "amd64") -> StoredImage:
        if (package, arch) not in self._images:
            if arch not in {known for _, known in self._images}:
                self.emulators.enter_context(emulator(arch))
            self.pkgtool.run("build", "--platform", f"linux/{arch}", "--progress", "plain", package, timeout=1800).ok()
            reference = self.pkgtool.run("show-tag", package).ok().out.strip()
            self._images[package, arch] = stored(self.pkgtool.store, f"{reference}-{arch}")
        return self._images[package, arch]


@pytest.fixture(scope="session")
def built() -> Iterator[Built]:
    with ExitStack() as emulators:
        yield Built(CommandLine(PROJECT, Path(_STORE) if _STORE else _default_store()), emulators)


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

    def copy(package: str, arch: str = "amd64", name: str = "") -> Path:
        target = tmp_path / f"{package}-{arch}{name}"
        subprocess.run(["cp", "-a", "--reflink=auto", unpacked(package, arch), target], check=True)
        return target

    return copy


@pytest.fixture
def offline() -> Iterator[None]:
    """A network of the test's own: loopback alone, and every port free."""
    with no_network():
        yield
