"""On bad days a push ends published whole and verified, or with a clear error and nothing half-published."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode, PkgtoolError
from pkgtool.oci.registry.publish import index_of
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings, RetryPolicy
from pkgtool.oci.registry.transfer import pull
from pkgtool.workflows import registries as workflow
from tests.support.command_line import CommandLine
from tests.support.registry import registries, server
from tests.support.registry.built_tree import Built, fill
from tests.support.registry.fault_proxy import FAULTS, Weather, proxying
from tests.support.registry.images import AMD64, ARM64, assert_whole, put_package
from tests.support.registry.memory import MemoryRepository
from tests.support.tree import TreeBuilder

RUNS = 200
RATES = (0.02, 0.05, 0.1, 0.2, 0.35)
PLATFORMS = (AMD64, ARM64)
LAYERS = (("base", 60_000), ("top", 5_000))


@pytest.fixture
def impatient(settings: RegistrySettings) -> RegistrySettings:
    policy = RetryPolicy(attempts=4, first_wait=0.001, longest_wait=0.004)
    return replace(settings, retry=policy, chunk=25_000, read_seconds=2.0)


@pytest.mark.slow
def test_two_hundred_bad_days(
    tree: TreeBuilder,
    pkgtool: CommandLine,
    impatient: RegistrySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two hundred `pkgtool push` of two packages for two platforms, half of them to docker-registry."""
    patient = functools.partial(RegistrySettings, retry=impatient.retry, chunk=25_000, read_seconds=2.0)
    monkeypatch.setattr(workflow, "RegistrySettings", patient)
    for name in ("one", "two"):
        tree.package(name, "arches: [amd64, arm64]\n")
    tree.commit()
    built = fill(pkgtool, base=60_000)
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    with registries.docker_registry(tmp_path / "registry") as docker, server.serving() as strict:
        for run in range(RUNS):
            weather = Weather(docker if run % 2 else strict.address, seed=run, rate=RATES[run % len(RATES)])
            outcomes[_one_run(f"run{run}", weather, pkgtool, built)] += 1
            faults += weather.done
    assert outcomes["published"] + outcomes["refused"] == RUNS
    assert outcomes["published"] > RUNS // 4, outcomes
    assert outcomes["refused"] > RUNS // 20, "the days were not bad enough to show anything"
    assert set(faults) == set(FAULTS), "every fault happened"


def _one_run(prefix: str, weather: Weather, pkgtool: CommandLine, built: Built) -> str:
    with proxying(weather) as address:
        ended = pkgtool("push", "--registry", f"{address}/{prefix}")
    published = ended.code == 0
    if not published:
        assert ended.code == ExitCode.REGISTRY, ended.err
        assert "error: " in ended.err
    _check(weather.upstream, prefix, pkgtool, built, whole=published)
    pkgtool("push", "--registry", f"{weather.upstream}/{prefix}").ok()  # a clean run ends the work
    _check(weather.upstream, prefix, pkgtool, built, whole=True)
    return "published" if published else "refused"


def _check(address: str, prefix: str, pkgtool: CommandLine, built: Built, *, whole: bool) -> None:
    """Every tag that is there can be read to its last byte; `whole`: and there are all of them, with our digests."""
    with Registry(f"{address}/{prefix}", RegistrySettings(certificates=())) as registry:
        for name, images in built.items():
            repository = registry.repository(f"linuxkit/{name}")
            tags = repository.tags()
            found = {tag: assert_whole(repository, tag).digest for tag in tags}
            if whole:
                digests = [index_of(images).digest, *(image.digest for _, image in sorted(images.items()))]
                assert [digest for _, digest in sorted(found.items())] == digests


@pytest.mark.slow
def test_pulling_on_bad_days_never_gives_wrong_bytes(impatient: RegistrySettings) -> None:
    outcomes: Counter[str] = Counter()
    with server.serving() as strict:
        with Registry(strict.address, impatient) as registry:
            _, images = put_package(registry.repository("a"), PLATFORMS, layers=LAYERS, tag="v1")
        for run in range(60):
            weather = Weather(strict.address, seed=run, rate=RATES[run % len(RATES)])
            store = MemoryRepository("store")
            with proxying(weather) as address, Registry(address, impatient) as registry:
                try:
                    assert pull(registry.repository("a"), store, "v1") == images
                    outcomes["pulled"] += 1
                except PkgtoolError:
                    outcomes["refused"] += 1
            for digest in store.manifests:
                assert_whole(store, digest)
            if len(store.manifests) < len(images):
                assert outcomes["refused"]
    assert min(outcomes["pulled"], outcomes["refused"]) > 0, outcomes
