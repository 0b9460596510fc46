"""What is pushed is read by unmodified clients of others, and what they push is read here; requests are counted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.oci.registry.publish import Outcome, Publication, publish
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from pkgtool.oci.registry.transfer import CopyOptions, copy
from pkgtool.oci.store import Store
from pkgtool.oci.store.archive import exported
from pkgtool.oci.store.repository import StoreRepository
from tests.support import sid_tools
from tests.support.registry import registries, server
from tests.support.registry.images import AMD64, ARM64, assert_whole, put_package, referrer_of
from tests.support.registry.memory import MemoryRepository

PLATFORMS = (AMD64, ARM64)


@pytest.fixture(params=["docker-registry", "go-containerregistry"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "docker-registry":
        with registries.docker_registry(tmp_path / "registry") as found:
            yield found
    else:
        with registries.referrers_registry() as found:
            yield found


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_other_clients_read_what_is_pushed(address: str, settings: RegistrySettings, tmp_path: Path) -> None:
    store = MemoryRepository("store")
    index, images = put_package(store)
    with Registry(address, settings) as registry:
        publish(store, registry.repository("linuxkit/a"), Publication("v1", images, PLATFORMS))
    name = f"{address}/linuxkit/a"
    crane, oras = sid_tools.program("crane"), sid_tools.program("oras")
    manifests = json.loads(run(crane, "manifest", f"{name}:v1"))["manifests"]
    assert [m["digest"] for m in manifests] == [str(images[p].digest) for p in PLATFORMS]
    assert run(crane, "digest", f"{name}:v1").strip() == str(index.digest)
    run(crane, "validate", "--remote", f"{name}:v1")
    skopeo = registries.require("skopeo", "skopeo")
    inspected = json.loads(run(skopeo, "inspect", "--tls-verify=false", "--override-arch=arm64", f"docker://{name}:v1"))
    assert inspected["Architecture"] == "arm64"
    assert sorted(inspected["RepoTags"]) == ["v1", "v1-amd64", "v1-arm64"]
    fetched = run(oras, "manifest", "fetch", "--plain-http", f"{name}:v1")
    assert fetched.encode() == store.manifests[index.digest][1]
    target = tmp_path / "copied"
    run(skopeo, "copy", "--all", "--src-tls-verify=false", f"docker://{name}:v1", f"oci:{target}:v1")
    assert (target / "blobs" / "sha256" / images[ARM64].digest.hex).exists()


def test_oras_discovers_what_is_attached(address: str, settings: RegistrySettings) -> None:
    store = MemoryRepository("store")
    index, images = put_package(store)
    with Registry(address, settings) as registry:
        repository = registry.repository("linuxkit/a")
        publish(store, repository, Publication("v1", images, PLATFORMS))
        attached = repository.attach(referrer_of(repository, index, "application/vnd.example.sbom", b"x", k="v"))
    oras = sid_tools.program("oras")
    text = run(oras, "discover", "--plain-http", "--format", "json", f"{address}/linuxkit/a:v1")
    assert str(attached.digest) in text


def test_what_oras_attaches_is_found(address: str, settings: RegistrySettings, tmp_path: Path) -> None:
    store = MemoryRepository("store")
    _, images = put_package(store)
    (tmp_path / "sbom.json").write_text("{}")
    with Registry(address, settings) as registry:
        repository = registry.repository("linuxkit/a")
        done = publish(store, repository, Publication("v1", images, PLATFORMS))
        oras = sid_tools.program("oras")
        options = "--plain-http --artifact-type application/vnd.example.sbom --annotation k=v".split()
        subprocess.run(
            [oras, "attach", *options, f"{address}/linuxkit/a:v1", "sbom.json:application/json"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        (found,) = repository.referrers(done.index.digest, artifact_type="application/vnd.example.sbom")
        assert found.annotations["k"] == "v"
        assert_whole(repository, found.digest)


def test_what_skopeo_pushes_is_read(address: str, settings: RegistrySettings, tmp_path: Path) -> None:
    """A layout made here, pushed by skopeo, and pulled again: also in Docker's own media types."""
    store = Store(tmp_path / "store")
    with exported(tmp_path / "layout") as layout:
        source = StoreRepository(layout, "a")
        index, _ = put_package(source, tag="v1")
    skopeo = registries.require("skopeo", "skopeo")
    place = f"docker://{address}/linuxkit/a"
    run(skopeo, "copy", "--all", "--dest-tls-verify=false", f"oci:{tmp_path / 'layout'}:a:v1", f"{place}:v1")
    run(skopeo, "copy", "--dest-tls-verify=false", "-f", "v2s2", f"oci:{tmp_path / 'layout'}:a:v1", f"{place}:docker")
    with store.in_use(), Registry(address, settings) as registry:
        here = StoreRepository(store.layout, "linuxkit/a")
        assert copy(registry.repository("linuxkit/a"), here, "v1", tags=("v1",)).root.digest == index.digest
        copied = copy(registry.repository("linuxkit/a"), here, "docker", tags=("docker",))
        assert copied.root.media_type == "application/vnd.docker.distribution.manifest.v2+json"
        assert_whole(here, "v1")
        assert_whole(here, "docker")


def test_what_a_push_costs(settings: RegistrySettings) -> None:
    """Requests and bytes, counted at the server."""
    packages = {f"linuxkit/p{number}": f"package {number}" for number in range(6)}
    store = MemoryRepository("store")

    def images_of(seed: str) -> dict:
        return put_package(store, PLATFORMS, seed=seed, layers=(("base", 50_000), (seed, 2_000)))[1]

    with server.serving() as state:

        def push_all() -> list[Outcome]:
            with Registry(state.address, settings) as registry:
                return [
                    publish(store, registry.repository(name), Publication("v1", images_of(seed), PLATFORMS)).outcome
                    for name, seed in packages.items()
                ]

        assert set(push_all()) == {Outcome.CREATED}
        assert state.received < 2 * 51_000 + 6 * 2 * 4_000 + 6 * 3_000, "the common layer was sent once per platform"
        state.forget()
        assert set(push_all()) == {Outcome.UNCHANGED}
        assert state.count() == {"HEAD": len(packages)}, "one request per tag"
        assert state.received == 0
        state.forget()
        changed = "linuxkit/p3"
        with Registry(state.address, settings) as registry:
            for name, seed in packages.items():
                new = name == changed
                work = Publication(
                    "v2" if new else "v1",
                    images_of("changed" if new else seed),
                    PLATFORMS,
                    options=CopyOptions(mount_from=("linuxkit/p0",)),
                )
                publish(store, registry.repository(name), work)
        writing = [seen.path for seen in state.seen if seen.method not in ("GET", "HEAD")]
        assert all(path.startswith(f"/v2/{changed}/") for path in writing)
        assert state.received < 2 * 2 * 4_000, "its own layers only"
