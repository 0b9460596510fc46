"""What engines hand over, made by hand: `docker save` archives with layers as any engine might have cut them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkgtool.oci.canonical.config import ImageSpec
from pkgtool.oci.canonical.image import CanonicalImage, canonicalise
from pkgtool.oci.canonical.product import from_docker_archive
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.store import Store
from pkgtool.values import Digest
from tests.support.registry.images import AMD64

EPOCH = 1_700_000_000


@dataclass(frozen=True)
class File:
    """An entry of a layer; `kind` as tar has it."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    time: float = 1_600_000_000
    xattrs: dict[str, str] = field(default_factory=dict)
    owner: str = ""


def directory(path: str, mode: int = 0o755, **more: Any) -> File:
    return File(path, mode=mode, kind=tarfile.DIRTYPE, **more)


def symlink(path: str, target: str) -> File:
    return File(path, kind=tarfile.SYMTYPE, target=target, mode=0o777)


def hardlink(path: str, target: str) -> File:
    return File(path, kind=tarfile.LNKTYPE, target=target)


def layer_of(files: Sequence[File]) -> bytes:
    """The files as an uncompressed tar, in the order given."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            member = tarfile.TarInfo(file.path)
            member.type, member.mode, member.linkname = file.kind, file.mode, file.target
            member.uid, member.gid, member.mtime = file.uid, file.gid, file.time
            member.uname = member.gname = file.owner
            member.size = len(file.content)
            member.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in file.xattrs.items()}
            archive.addfile(member, io.BytesIO(file.content))
    return out.getvalue()


@dataclass
class Factory:
    """Makes canonical images in one store."""

    store: Store
    place: Path
    number: int = 0

    def image(
        self,
        *layers: Sequence[File],
        config: dict[str, Any] | None = None,
        parent: CanonicalImage | None = None,
        parents: Sequence[Sequence[File] | bytes] = (),
        mounts: tuple[str, ...] | None = None,
        epoch: int = EPOCH,
        title: str = "thing",
        labels: dict[str, str] | None = None,
    ) -> CanonicalImage:
        """The image of an archive with these layers, above those of `parent` (given again as `parents`)."""
        self.number += 1
        scratch = self.place / str(self.number)
        scratch.mkdir(parents=True)
        tars = [each if isinstance(each, bytes) else layer_of(each) for each in (*parents, *layers)]
        archive = scratch / "image.tar"
        save(archive, tars, config=config)
        spec = ImageSpec(AMD64, epoch, title, labels or {})
        above: tuple[Descriptor, ...] = (parent.manifest,) if parent else ()
        with self.store.in_use():
            product = from_docker_archive(archive, scratch, mounts=mounts)
            return canonicalise(self.store.layout, product, spec, parents=above)

    def layer(self, image: CanonicalImage, number: int = -1) -> bytes:
        """A layer of an image, unpacked by Python's own gzip."""
        import gzip

        blob = self.store.layout.manifest(image.manifest).layers[number]
        return gzip.decompress(self.store.layout.blob_path(blob.digest).read_bytes())

    def config(self, image: CanonicalImage) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.store.layout.read(self.store.layout.manifest(image.manifest).config))
        return found

    def members(self, image: CanonicalImage, number: int = -1) -> list[tarfile.TarInfo]:
        with tarfile.open(fileobj=io.BytesIO(self.layer(image, number))) as archive:
            return archive.getmembers()


def save(
    place: Path,
    layers: Sequence[bytes],
    *,
    config: dict[str, Any] | None = None,
    diff_ids: Sequence[Digest] = (),
) -> None:
    """Write a `docker save` archive; `diff_ids` are given where the layers are compressed."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": [str(d) for d in diff_ids or map(Digest.of, layers)]},
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": [], "Layers": names}]
    with tarfile.open(place, "w:") as archive:
        documents = (("config.json", json.dumps(document).encode()), ("manifest.json", json.dumps(manifest).encode()))
        for name, content in (*zip(names, layers, strict=True), *documents):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
