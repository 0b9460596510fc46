"""Small images for tests: the same arguments give the same bytes."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Sequence

from deflate import gzip_compress

from pkgtool.oci.documents import CONFIG, LAYER_GZIP, Descriptor, Index, Manifest, encode
from pkgtool.oci.repository import Target
from pkgtool.values import Digest, Platform

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
RISCV64 = Platform("linux", "riscv64")
S390X = Platform("linux", "s390x")
_PIECE = 1 << 24  # it can't make more than 256 MiB at a time
PLATFORMS = (AMD64, ARM64, RISCV64, S390X)


def layer(seed: str, size: int = 2000) -> tuple[bytes, Digest]:
    """A gzipped tar with one file of random bytes, and its diff id."""
    generator = random.Random(seed)
    content = b"".join(generator.randbytes(min(_PIECE, size - start)) for start in range(0, size, _PIECE))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(f"file-{seed.replace('/', '-')}")
        member.size = size
        tar.addfile(member, io.BytesIO(content))
    raw = buffer.getvalue()
    return bytes(gzip_compress(raw, 1)), Digest.of(raw)


def put_image(
    target: Target, platform: Platform, seed: str = "image", layers: Sequence[tuple[str, int]] = (("base", 3000),)
) -> Descriptor:
    """An image whose first layers are the given (seed, size) ones; every platform has others."""
    blobs = [layer(f"{name}-{platform.arch}", size) for name, size in layers]
    configuration = encode(
        {
            "architecture": platform.arch,
            "os": platform.os,
            "config": {"Labels": {"seed": seed}},
            "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for _, diff_id in blobs]},
        }
    )
    config = target.write_blob(configuration, CONFIG)
    manifest = Manifest(config, tuple(target.write_blob(content, LAYER_GZIP) for content, _ in blobs))
    stored = target.put_manifest(manifest.encode(), manifest.media_type)
    return Descriptor(stored.media_type, stored.digest, stored.size, platform)


def put_package(
    target: Target,
    platforms: Sequence[Platform] = (AMD64, ARM64),
    seed: str = "image",
    layers: Sequence[tuple[str, int]] = (("base", 3000), ("top", 500)),
    tag: str = "",
) -> tuple[Descriptor, dict[Platform, Descriptor]]:
    """An index and its images."""
    images = {platform: put_image(target, platform, seed, layers) for platform in platforms}
    index = Index.of_platforms(list(images.values()))
    return target.put_manifest(index.encode(), index.media_type, tag=tag), images


def referrer_of(target: Target, subject: Descriptor, kind: str, payload: bytes, **annotations: str) -> Manifest:
    """An artifact manifest about `subject`, its blobs written to `target`."""
    config = target.write_blob(b"{}", "application/vnd.oci.empty.v1+json")
    blob = target.write_blob(payload, kind)
    bare = Descriptor(subject.media_type, subject.digest, subject.size)
    return Manifest(config, (blob,), artifact_type=kind, subject=bare, annotations=annotations)


def assert_whole(repository: Target, reference: str | Digest) -> Descriptor:
    """Read an image and everything below it to the last byte; what is read is verified by the reader."""
    found = repository.get_manifest(reference)
    assert found is not None, f"{reference} is not there"
    descriptor, content = found
    assert Digest.of(content) == descriptor.digest
    if descriptor.is_index:
        for child in Index.parse(content, what="index").manifests:
            assert_whole(repository, child.digest)
    else:
        for blob in Manifest.parse(content, what="manifest").blobs:
            assert Digest.of(b"".join(repository.stream_blob(blob))) == blob.digest
    return descriptor
