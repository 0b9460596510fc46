"""Small but real images for tests: a layer, a configuration, a manifest per platform, an index."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence

from pkgtool.oci.documents import CONFIG, LAYER_GZIP, Descriptor, Index, Manifest, encode, platform_document
from pkgtool.oci.repository import Repository
from pkgtool.values import Platform

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


def layer(files: Mapping[str, bytes]) -> bytes:
    """A layer as an uncompressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def push_manifest(repository: Repository, platform: Platform, files: Mapping[str, bytes]) -> Descriptor:
    """One platform's image."""
    tar = layer(files)
    blob = repository.write_blob(gzip.compress(tar, mtime=0), LAYER_GZIP)
    config = encode(
        {
            **platform_document(platform),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
            "history": [{"created_by": "test"}],
        }
    )
    manifest = Manifest(repository.write_blob(config, CONFIG), (blob,))
    pushed = repository.put_manifest(manifest.encode(), manifest.media_type)
    return Descriptor(pushed.media_type, pushed.digest, pushed.size, platform=platform)


def push_image(
    repository: Repository, tag: str, content: str = "hello", platforms: Sequence[Platform] = (AMD64, ARM64)
) -> Descriptor:
    """An index with an image per platform; `content` makes it differ from others."""
    manifests = [
        push_manifest(repository, platform, {"etc/content": f"{content} {platform}\n".encode()})
        for platform in platforms
    ]
    index = Index.of_platforms(manifests)
    return repository.put_manifest(index.encode(), index.media_type, tag=tag)
