"""The same assertions on everything that is a `Target`: memory, the store, registries with and without referrers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.errors import PkgtoolError
from pkgtool.oci.documents import INDEX, Descriptor, Index, Manifest
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings, RetryPolicy
from pkgtool.oci.repository import Target
from pkgtool.oci.store import Store
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.values import Digest
from tests.support.registry import registries, server
from tests.support.registry.images import AMD64, ARM64, assert_whole, put_image, put_package, referrer_of
from tests.support.registry.memory import MemoryRepository

QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.05)
ABSENT = Digest.of(b"nobody has this")
SIGNATURE = "application/vnd.example.signature"
SBOM = "application/vnd.example.sbom"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    directory = tmp_path_factory.mktemp("registries")
    with (
        registries.docker_registry(directory) as docker,
        registries.referrers_registry() as other,
        server.serving() as strict,
        server.serving(server.Modes(referrers=False, page=2, head_digest=False)) as old,
    ):
        yield {"docker-registry": docker, "go-containerregistry": other, "strict": strict.address, "old": old.address}


KINDS = ["memory", "store", "docker-registry", "go-containerregistry", "strict", "old"]


@pytest.fixture(params=KINDS)
def repository(
    request: pytest.FixtureRequest, real: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Target]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker-config"))
    name = "contract/" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")
    if request.param == "memory":
        yield MemoryRepository()
    elif request.param == "store":
        store = Store(tmp_path / "store")
        with store.in_use():
            yield StoreRepository(store.layout, name)
    else:
        settings = RegistrySettings(state=tmp_path / "state", certificates=(), retry=QUICK)
        with Registry(real[request.param], settings) as registry:
            yield registry.repository(name.replace("--", "-"))


def test_what_is_absent_is_none(repository: Target) -> None:
    assert repository.resolve("v1") is None
    assert repository.resolve(ABSENT) is None
    assert repository.get_manifest("v1") is None
    assert repository.get_manifest(ABSENT) is None
    assert not repository.has_blob(ABSENT)
    assert repository.tags() == []
    assert repository.referrers(ABSENT) == []


def test_blobs_come_back_as_they_were(repository: Target) -> None:
    content = bytes(range(256)) * 1000
    descriptor = repository.write_blob(content, "application/octet-stream")
    assert descriptor == Descriptor.of(content, "application/octet-stream")
    assert repository.write_blob(content, "application/octet-stream") == descriptor
    assert repository.has_blob(descriptor.digest)
    assert repository.read_blob(descriptor) == content
    assert b"".join(repository.stream_blob(descriptor)) == content


def test_the_empty_blob(repository: Target) -> None:
    descriptor = repository.write_blob(b"", "application/octet-stream")
    assert repository.read_blob(descriptor) == b""


def test_a_blob_that_is_not_what_its_descriptor_says_is_refused(repository: Target) -> None:
    descriptor = repository.write_blob(b"some content", "text/plain")
    with pytest.raises(PkgtoolError):
        repository.read_blob(replace(descriptor, size=descriptor.size + 1))
    with pytest.raises(PkgtoolError):
        repository.read_blob(replace(descriptor, digest=ABSENT))


def test_manifests_by_tag_and_digest(repository: Target) -> None:
    image = put_image(repository, AMD64)
    found = repository.get_manifest(image.digest)
    assert found is not None
    stored = repository.put_manifest(found[1], found[0].media_type, tag="v1")
    assert repository.resolve("v1") == repository.resolve(image.digest) == stored
    assert repository.get_manifest("v1") == (stored, found[1])
    assert Digest.of(found[1]) == image.digest
    assert repository.resolve("v2") is None


def test_a_tag_can_be_moved_and_removed(repository: Target, request: pytest.FixtureRequest) -> None:
    first, _ = put_package(repository, seed="one", tag="v1")
    second, _ = put_package(repository, seed="two", tag="v1")
    assert first.digest != second.digest
    assert repository.resolve("v1") == second
    if request.node.callspec.params["repository"] == "docker-registry":
        pytest.xfail("docker-registry 2.8 deletes manifests, not tags")
    repository.delete_tag("v1")
    assert repository.resolve("v1") is None
    assert repository.resolve(second.digest) == second


def test_tags_are_all_listed_in_order(repository: Target) -> None:
    image = put_image(repository, AMD64)
    found = repository.get_manifest(image.digest)
    assert found is not None
    names = ["v2", "v10", "a.b", "latest", "v1-arm64", "V1", "_x"]
    for name in names:
        repository.put_manifest(found[1], found[0].media_type, tag=name)
    assert repository.tags() == sorted(names)


def test_indexes_hold_platforms(repository: Target) -> None:
    index, images = put_package(repository, tag="v1")
    found = repository.get_manifest("v1")
    assert found is not None
    assert found[0] == index
    assert index.media_type == INDEX
    assert Index.parse(found[1], what="index").manifests == (images[AMD64], images[ARM64])
    assert assert_whole(repository, "v1") == index


def test_a_manifest_is_refused_without_what_it_names(repository: Target, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["repository"] == "go-containerregistry":
        pytest.xfail("go-containerregistry's test registry checks indexes only")
    here = Descriptor("application/vnd.oci.image.config.v1+json", ABSENT, 15)
    manifest = Manifest(here, ())
    with pytest.raises(PkgtoolError):
        repository.put_manifest(manifest.encode(), manifest.media_type, tag="broken")
    assert repository.resolve("broken") is None


def test_an_index_is_refused_without_its_images(repository: Target) -> None:
    index = Index((Descriptor("application/vnd.oci.image.manifest.v1+json", ABSENT, 15, AMD64),))
    with pytest.raises(PkgtoolError):
        repository.put_manifest(index.encode(), index.media_type, tag="broken")
    assert repository.resolve("broken") is None


def test_blobs_are_taken_from_another_repository(repository: Target) -> None:
    source = MemoryRepository()
    content = b"x" * 300_000
    descriptor = source.write_blob(content, "application/octet-stream")
    assert repository.take_blob(descriptor, source) == len(content)
    assert repository.take_blob(descriptor, source) == 0
    assert repository.read_blob(descriptor) == content
    assert source.calls["stream_blob"] == 1


def test_a_damaged_blob_is_not_taken(repository: Target) -> None:
    source = MemoryRepository()
    descriptor = source.write_blob(b"right", "text/plain")
    source.blobs[descriptor.digest] = b"wrong"
    with pytest.raises(PkgtoolError):
        repository.take_blob(descriptor, source)
    assert not repository.has_blob(descriptor.digest)


def test_referrers_are_found_with_kind_and_annotations(repository: Target) -> None:
    index, images = put_package(repository, tag="v1")
    signature = referrer_of(repository, index, SIGNATURE, b"signature", signer="alice")
    sbom = referrer_of(repository, index, SBOM, b"packages", format="spdx")
    other = referrer_of(repository, images[AMD64], SIGNATURE, b"signature", signer="alice")
    attached = [repository.attach(manifest) for manifest in (signature, sbom, other)]
    assert repository.attach(signature) == attached[0], "attaching again adds nothing"
    found = repository.referrers(index.digest)
    assert {d.digest for d in found} == {attached[0].digest, attached[1].digest}
    assert len(found) == 2
    (only,) = repository.referrers(index.digest, artifact_type=SIGNATURE)
    assert only.digest == attached[0].digest
    assert only.artifact_type == SIGNATURE
    assert only.annotations == {"signer": "alice"}
    assert [d.digest for d in repository.referrers(images[AMD64].digest)] == [attached[2].digest]
    assert repository.referrers(images[ARM64].digest) == []
    assert assert_whole(repository, attached[0].digest).digest == attached[0].digest


def test_many_referrers_are_all_found(repository: Target) -> None:
    image = put_image(repository, AMD64)
    attached = {
        repository.attach(referrer_of(repository, image, SIGNATURE, b"%d" % number)).digest for number in range(5)
    }
    assert {d.digest for d in repository.referrers(image.digest)} == attached


def test_a_referrer_needs_a_subject(repository: Target) -> None:
    config = repository.write_blob(b"{}", "application/vnd.oci.empty.v1+json")
    with pytest.raises(PkgtoolError, match="subject"):
        repository.attach(Manifest(config, (), artifact_type=SIGNATURE))


def test_a_foreign_referrer_keeps_its_bytes(repository: Target) -> None:
    """Other tools format JSON differently: its digest must survive a copy."""
    image = put_image(repository, AMD64)
    manifest = referrer_of(repository, image, SIGNATURE, b"foreign")
    content = manifest.encode().replace(b'{"schemaVersion":2,', b'{\n  "schemaVersion": 2,\n ')
    stored = repository.put_referrer(content, manifest.media_type)
    assert stored.digest == Digest.of(content)
    found = repository.get_manifest(stored.digest)
    assert found is not None
    assert found[1] == content
    assert [d.digest for d in repository.referrers(image.digest)] == [stored.digest]
