from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pkgtool.oci.registry.settings import RegistrySettings, RetryPolicy
from pkgtool.workflows import registries
from tests.support.tree import TreeBuilder

QUICK = RetryPolicy(attempts=5, first_wait=0.01, longest_wait=0.05)


@pytest.fixture(autouse=True)
def _nothing_of_the_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's credentials or proxies but those of the test."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> RegistrySettings:
    return RegistrySettings(state=tmp_path / "state", certificates=(), retry=QUICK, read_seconds=5.0)


@pytest.fixture
def log_in(tmp_path: Path) -> Callable[..., None]:
    """Write a credential into Docker's config.json as `docker login` does."""

    def write(host: str, user: str, password: str, *, identity: bool = False) -> None:
        entry = {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
        if identity:
            entry["identitytoken"] = password
        (tmp_path / "docker").mkdir(exist_ok=True)
        (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host: entry}}))

    return write


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands try again at once, and not for long."""
    monkeypatch.setattr(
        registries, "RegistrySettings", functools.partial(RegistrySettings, retry=QUICK, read_seconds=5.0)
    )


@pytest.fixture
def packages(request: pytest.FixtureRequest, tree: TreeBuilder) -> TreeBuilder:
    """The packages that the test's file names in `PACKAGES`, for two platforms, committed."""
    for name in request.module.PACKAGES:
        tree.package(name, "arches: [amd64, arm64]\n")
    tree.commit()
    return tree
