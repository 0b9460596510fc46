"""Copying between any two repositories, with what belongs to an image, through directories and archives."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from pkgtool.errors import PkgtoolError, RegistryError, StoreError
from pkgtool.oci.documents import CONFIG, Descriptor, Manifest, encode
from pkgtool.oci.registry.companions import CompanionsCopied, copy_companions, copy_with_companions
from pkgtool.oci.registry.describe import describe_published
from pkgtool.oci.registry.transfer import CopyOptions, copy, pull
from pkgtool.oci.store import Store
from pkgtool.oci.store.archive import exported, imported
from pkgtool.oci.store.repository import StoreRepository
from pkgtool.values import Digest
from tests.support.registry.images import AMD64, ARM64, assert_whole, put_package, referrer_of
from tests.support.registry.memory import MemoryRepository

SIGNATURE = "application/vnd.example.signature"


def classic_tag(digest: Digest, suffix: str) -> str:
    return f"sha256-{digest.hex}.{suffix}"


def put_classic(repository: MemoryRepository, digest: Digest, *signatures: str, suffix: str = "sig") -> Descriptor:
    layers = tuple(
        Descriptor(d.media_type, d.digest, d.size, annotations={"dev.cosignproject.cosign/signature": s})
        for s in signatures
        for d in [repository.write_blob(f"payload {s}".encode(), "application/vnd.dev.cosign.simplesigning.v1+json")]
    )
    config = repository.write_blob(
        encode({"architecture": "", "rootfs": {"type": "layers", "diff_ids": [str(x.digest) for x in layers]}}), CONFIG
    )
    manifest = Manifest(config, layers)
    return repository.put_manifest(manifest.encode(), manifest.media_type, tag=classic_tag(digest, suffix))


@pytest.fixture
def source() -> MemoryRepository:
    return MemoryRepository("source")


@pytest.fixture
def target() -> MemoryRepository:
    return MemoryRepository("target")


def test_everything_below_an_index_is_copied(source: MemoryRepository, target: MemoryRepository) -> None:
    index, _ = put_package(source, tag="v1")
    done = copy(source, target, "v1", tags=("v1", "latest"))
    assert done.root.digest == index.digest
    assert done.manifests == 3
    assert done.sent == sum(len(content) for content in target.blobs.values())
    assert target.blobs == source.blobs
    assert target.tags() == ["latest", "v1"]
    assert_whole(target, "latest")


def test_a_second_copy_asks_for_the_tag_only(source: MemoryRepository, target: MemoryRepository) -> None:
    index, _ = put_package(source, tag="v1")
    copy(source, target, index.digest, tags=("v1",))
    target.calls.clear()
    source.calls.clear()
    assert copy(source, target, index.digest, tags=("v1",)).manifests == 0
    assert dict(target.calls) == {"resolve": 1}
    assert not source.calls


def test_a_further_tag_sends_the_manifest_alone(source: MemoryRepository, target: MemoryRepository) -> None:
    index, _ = put_package(source, tag="v1")
    copy(source, target, index.digest, tags=("v1",))
    target.calls.clear()
    copy(source, target, index.digest, tags=("v1", "v2"))
    assert dict(target.calls) == {"resolve": 2, "put_manifest": 1}


def test_no_tag_is_set_when_a_blob_fails(source: MemoryRepository, target: MemoryRepository) -> None:
    index, _ = put_package(source, tag="v1")
    last = max(source.blobs, key=lambda digest: len(source.blobs[digest]))
    source.blobs[last] = b"damaged"
    with pytest.raises(RegistryError, match="damaged"):
        copy(source, target, index.digest, tags=("v1",))
    assert target.tags() == []
    assert not target.manifests


def test_what_does_not_exist(source: MemoryRepository, target: MemoryRepository) -> None:
    with pytest.raises(RegistryError, match="source:v9 does not exist"):
        copy(source, target, "v9")


def test_pulling_one_platform(source: MemoryRepository, target: MemoryRepository) -> None:
    _, images = put_package(source, tag="v1")
    assert pull(source, target, "v1", [ARM64]) == {ARM64: images[ARM64]}
    assert set(target.manifests) == {images[ARM64].digest}
    assert set(pull(source, target, "v1")) == {AMD64, ARM64}
    assert set(pull(source, target, images[AMD64].digest)) == {AMD64}, "a single image has one platform"


def test_progress_is_told_in_bytes(source: MemoryRepository, target: MemoryRepository) -> None:
    events: list[object] = []
    put_package(source, tag="v1")
    copy(source, target, "v1", options=CopyOptions(step="push:a", sink=events.append))
    last = events[-1]
    assert (last.step, last.done, last.unit) == ("push:a", last.total, "bytes")  # type: ignore[attr-defined]


def with_companions(source: MemoryRepository) -> tuple[Descriptor, dict[str, Digest]]:
    index, images = put_package(source, tag="v1")
    bundle = source.attach(referrer_of(source, index, SIGNATURE, b"bundle"))
    attached = {
        "bundle": bundle.digest,
        "platform": source.attach(referrer_of(source, images[AMD64], SIGNATURE, b"amd64")).digest,
        "of the bundle": source.attach(referrer_of(source, bundle, SIGNATURE, b"second")).digest,
    }
    put_classic(source, index.digest, "alice")
    put_classic(source, images[ARM64].digest, "alice", suffix="att")
    put_classic(source, Digest.of(b"another image"), "alice")
    return index, attached


def assert_companions(
    repository: MemoryRepository | StoreRepository, index: Digest, attached: dict[str, Digest]
) -> None:
    assert [d.digest for d in repository.referrers(index)] == [attached["bundle"]]
    assert [d.digest for d in repository.referrers(attached["bundle"])] == [attached["of the bundle"]]
    assert len([tag for tag in repository.tags() if tag.endswith((".sig", ".att"))]) == 2
    for tag in repository.tags():
        assert_whole(repository, tag)
    for digest in attached.values():
        assert_whole(repository, digest)


def test_both_kinds_of_companions_are_copied(source: MemoryRepository, target: MemoryRepository) -> None:
    index, attached = with_companions(source)
    _, done = copy_with_companions(source, target, "v1", tags=("v1",))
    assert done == CompanionsCopied(referrers=3, tags=2)
    assert_companions(target, index.digest, attached)
    assert copy_companions(source, target, index.digest) == CompanionsCopied(0, 0)


def test_signatures_of_both_sides_are_kept(source: MemoryRepository, target: MemoryRepository) -> None:
    index, _ = put_package(source, tag="v1")
    copy(source, target, "v1", tags=("v1",))
    put_classic(source, index.digest, "alice", "carol")
    put_classic(target, index.digest, "alice", "bob")
    assert copy_companions(source, target, index.digest).tags == 1
    found = target.get_manifest(classic_tag(index.digest, "sig"))
    assert found is not None
    merged = Manifest.parse(found[1], what="merged")
    assert [layer.annotations["dev.cosignproject.cosign/signature"] for layer in merged.layers] == [
        "alice",
        "bob",
        "carol",
    ]
    assert_whole(target, found[0].digest)
    assert copy_companions(source, target, index.digest).tags == 0


@pytest.mark.parametrize("name", ["directory", "images.tar"])
def test_export_and_import_keep_everything(source: MemoryRepository, tmp_path: Path, name: str) -> None:
    index, attached = with_companions(source)
    with exported(tmp_path / name) as layout:
        copy_with_companions(source, StoreRepository(layout, "linuxkit/a"), "v1", tags=("v1",))
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing else is left"
    store = Store(tmp_path / "store")
    with store.in_use(), imported(tmp_path / name) as layout:
        here = StoreRepository(store.layout, "linuxkit/a")
        copy_with_companions(StoreRepository(layout, "linuxkit/a"), here, "v1", tags=("v1",))
        assert_companions(here, index.digest, attached)
        assert here.resolve("v1") == index


def test_an_archive_has_the_same_bytes_again(source: MemoryRepository, tmp_path: Path) -> None:
    with_companions(source)
    for name in ("one.tar", "two.tar"):
        with exported(tmp_path / name) as layout:
            copy_with_companions(source, StoreRepository(layout, "a"), "v1", tags=("v1",))
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


@pytest.mark.parametrize("member", ["../evil", "/etc/passwd", "blobs/sha256/../../x", "blobs/sha256/xyz"])
def test_an_archive_with_anything_else_is_refused(tmp_path: Path, member: str) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        info = tarfile.TarInfo(member)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(StoreError, match="does not belong"), imported(tmp_path / "bad.tar"):
        pass


def test_an_archive_with_a_link_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        info = tarfile.TarInfo("index.json")
        info.type = tarfile.SYMTYPE
        info.linkname = "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(StoreError, match="does not belong"), imported(tmp_path / "bad.tar"):
        pass


@pytest.mark.parametrize("content", [b"", b"not a tar", None])
def test_what_is_no_archive(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(StoreError), imported(tmp_path / "x.tar"):
        pass


def test_a_damaged_archive_is_found_when_it_is_read(source: MemoryRepository, tmp_path: Path) -> None:
    with_companions(source)
    with exported(tmp_path / "out") as layout:
        copy_with_companions(source, StoreRepository(layout, "a"), "v1", tags=("v1",))
    largest = max((tmp_path / "out" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"!")
    target = MemoryRepository()
    with imported(tmp_path / "out") as layout, pytest.raises(PkgtoolError, match="damaged"):
        copy(StoreRepository(layout, "a"), target, "v1", tags=("v1",))
    assert target.tags() == []


def test_a_failed_export_leaves_the_old_archive(source: MemoryRepository, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"old")
    with pytest.raises(RegistryError), exported(tmp_path / "x.tar") as layout:
        copy(source, StoreRepository(layout, "a"), "absent")
    assert (tmp_path / "x.tar").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_published_in_numbers(source: MemoryRepository) -> None:
    index, images = put_package(source, tag="v1")
    found = describe_published(source, "v1")
    assert found is not None
    assert found.index.digest == index.digest
    assert set(found.images) == set(images)
    everything = sum(map(len, source.blobs.values())) + sum(len(content) for _, content in source.manifests.values())
    assert found.size == everything
    assert describe_published(source, "absent") is None
