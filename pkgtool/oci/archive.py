"""Images of the store as archives that engines and other tools load."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

from pkgtool.oci.documents import INDEX, REF_NAME, Descriptor, encode
from pkgtool.oci.store.layout import Layout
from pkgtool.values import ImageRef


class Writer(Protocol):
    """Where an archive goes."""

    def write(self, content: bytes, /) -> int: ...


def write_docker_archive(layout: Layout, manifest: Descriptor, references: Sequence[ImageRef], out: Writer) -> None:
    """What `docker load` reads (Docker image specification 1.2). Layers stay compressed: engines unpack them.

    Raises `StoreError` if a blob is absent or damaged.
    """
    document = layout.manifest(manifest)
    config_name = f"{document.config.digest.hex}.json"
    layer_names = [f"{layer.digest.hex}.tar.gz" for layer in document.layers]
    described = [
        {"Config": config_name, "RepoTags": [str(reference) for reference in references], "Layers": layer_names}
    ]
    with tarfile.open(fileobj=cast(Any, out), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, config_name, layout.read(document.config))
        for name, layer in dict(zip(layer_names, document.layers, strict=True)).items():
            _add_blob(archive, name, layout, layer)
        _add(archive, "manifest.json", json.dumps(described).encode())


def write_oci_archive(layout: Layout, root: Descriptor, reference: str, out: Writer) -> None:
    """An OCI image layout as a tar: the index or manifest `root` under the name `reference`, and all below it.

    Raises `StoreError` if a blob is absent or damaged.
    """
    named = Descriptor(
        root.media_type, root.digest, root.size, platform=root.platform, annotations={REF_NAME: reference}
    )
    index = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named.document()]})
    with tarfile.open(fileobj=cast(Any, out), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", encode({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", index)
        for blob in {d.digest: d for d in everything_below(layout, root)}.values():
            _add_blob(archive, f"blobs/{blob.digest.algorithm}/{blob.digest.hex}", layout, blob)


def everything_below(layout: Layout, root: Descriptor) -> Iterator[Descriptor]:
    """An index or manifest and every blob that it needs, children first."""
    if root.is_index:
        for manifest in layout.index(root).manifests:
            yield from everything_below(layout, manifest)
    else:
        yield from layout.manifest(root).blobs
    yield root


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o644
    archive.addfile(member, io.BytesIO(content))


def _add_blob(archive: tarfile.TarFile, name: str, layout: Layout, blob: Descriptor) -> None:
    layout.verify_blob(blob.digest)
    member = tarfile.TarInfo(name)
    member.size = blob.size
    member.mode = 0o644
    with layout.open(blob.digest) as stream:
        archive.addfile(member, stream)
