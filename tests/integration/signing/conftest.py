"""Unmodified clients against registries and a sigstore of our own, all without a network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pkgtool.oci.registry.repository import Registry, RegistryRepository
from tests.support import published, sid_tools
from tests.support.offline import no_network
from tests.support.published import Published, Workshop
from tests.support.registry import go_program
from tests.support.registry.registries import docker_registry, referrers_registry
from tests.support.sigstore_standin import Standin, standin

PASSWORD = "for the tests alone"


@dataclass(frozen=True)
class Tools:
    """Programs of Debian sid."""

    cosign: str
    oras: str
    skopeo: str
    crane: str


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Downloaded, and the second registry built, before the network goes away."""
    go_program.build(Path(__file__).parents[2] / "support" / "registry" / "referrers_registry")
    return Tools(*(sid_tools.program(name) for name in ("cosign", "oras", "skopeo", "crane")))


@pytest.fixture(scope="module", autouse=True)
def offline(tools: Tools) -> Iterator[None]:
    """Every module of this directory runs without a network, and nothing elsewhere."""
    with no_network():
        yield


@pytest.fixture(scope="module")
def instance(offline: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with standin(tmp_path_factory.mktemp("sigstore")) as running:
        yield running


@pytest.fixture(scope="module", params=["fallback tags", "referrers API"])
def host(request: pytest.FixtureRequest, offline: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry without the referrers API, and one with it."""
    if request.param == "fallback tags":
        with docker_registry(tmp_path_factory.mktemp("registry")) as address:
            yield address
    else:
        with referrers_registry() as address:
            yield address


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A small tree, built once. Whoever changes it takes a copy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{name}_NAME", "Test")
            patch.setenv(f"GIT_{name}_EMAIL", "test@example.com")
            patch.setenv(f"GIT_{name}_DATE", "2024-01-01T00:00:00Z")
        return published.make(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def released(
    workshop: Workshop, offline: None, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    """The tree, pushed and signed by the command line to a registry without the referrers API."""
    with docker_registry(tmp_path_factory.mktemp("released")) as address:
        done = Published(workshop, f"{address}/team", tools.crane)
        done.push("--sign", *workshop.by())
        yield done


@pytest.fixture(scope="module")
def registry(host: str) -> Iterator[Registry]:
    with Registry(host) as opened:
        yield opened


@pytest.fixture
def repository(registry: Registry, request: pytest.FixtureRequest) -> RegistryRepository:
    """A repository of the test's own."""
    number = abs(hash(request.node.nodeid))
    return registry.repository(f"linuxkit/t{number}/getty")


Cosign = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cosign(tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cosign:
    """Run cosign in the test's directory, with a home of its own."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "COSIGN_PASSWORD": PASSWORD,
        "TUF_ROOT": str(tmp_path / "tuf"),
    }

    def run(*arguments: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([tools.cosign, *arguments], capture_output=True, text=True, env=environment)
        assert (done.returncode != 0) is fails, f"cosign {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
        return done

    return run
