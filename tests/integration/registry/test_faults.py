"""On bad days a push ends published whole and verified, or with a clear error and nothing half-published."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.errors import PkgtoolError
from pkgtool.oci.registry.publish import Publication, publish
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings, RetryPolicy
from pkgtool.oci.registry.transfer import CopyOptions, pull
from tests.support.registry import registries, server
from tests.support.registry.fault_proxy import FAULTS, Weather, proxying
from tests.support.registry.images import AMD64, ARM64, assert_whole, put_package
from tests.support.registry.memory import MemoryRepository

RUNS = 200
RATES = (0.02, 0.05, 0.1, 0.2, 0.35)
PLATFORMS = (AMD64, ARM64)
LAYERS = (("base", 60_000), ("top", 5_000))


@pytest.fixture
def impatient(settings: RegistrySettings) -> RegistrySettings:
    policy = RetryPolicy(attempts=4, first_wait=0.001, longest_wait=0.004)
    return replace(settings, retry=policy, chunk=25_000, read_seconds=2.0)


@pytest.mark.slow
def test_two_hundred_bad_days(impatient: RegistrySettings, tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    with registries.docker_registry(tmp_path / "registry") as docker, server.serving() as strict:
        for run in range(RUNS):
            upstream = docker if run % 2 else strict.address
            weather = Weather(upstream, seed=run, rate=RATES[run % len(RATES)])
            outcomes[_one_run(run, weather, impatient, tmp_path)] += 1
            faults += weather.done
    assert outcomes["published"] + outcomes["refused"] == RUNS
    assert outcomes["published"] > RUNS // 4, outcomes
    assert outcomes["refused"] > 0, "the days were not bad enough to show anything"
    assert set(faults) == set(FAULTS), "every fault happened"


def _one_run(run: int, weather: Weather, settings: RegistrySettings, directory: Path) -> str:
    store = MemoryRepository("store")
    index, images = put_package(store, PLATFORMS, seed=f"run-{run}", layers=LAYERS)
    work = Publication("v1", images, PLATFORMS, state=settings.state, options=CopyOptions(parallel=4))
    name = f"faults/run{run}"
    outcome = "published"
    with proxying(weather) as address, Registry(address, settings) as registry:
        try:
            done = publish(store, registry.repository(name), work)
            assert done.index.digest == index.digest
        except PkgtoolError:
            outcome = "refused"
    with Registry(weather.upstream, settings) as direct:
        repository = direct.repository(name)
        if outcome == "published":
            assert assert_whole(repository, "v1").digest == index.digest
        for tag in repository.tags():
            assert_whole(repository, tag)
        assert publish(store, repository, work).index.digest == index.digest, "a clean run ends the work"
        assert assert_whole(repository, "v1").digest == index.digest
    return outcome


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
