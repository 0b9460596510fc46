"""Layers as others compress them: gzip and zstd in all their shapes, damaged ones, and ones that lie."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from pkgtool.errors import BuildError, StoreError
from pkgtool.oci.canonical.compression import is_compressed, uncompressed
from pkgtool.oci.canonical.image import CanonicalImage
from pkgtool.oci.canonical.product import from_docker_archive
from pkgtool.oci.compare import ImageDifference, compare
from pkgtool.oci.documents import CONFIG, MANIFEST, Descriptor, Manifest
from pkgtool.values import Digest
from tests.support.products import Factory, File, directory, layer_of, save

PLAIN = layer_of([File(f"file-{n}", random.Random(n).randbytes(5000) + b"a" * 5000) for n in range(200)])
SKIPPED = bytes.fromhex("5a2a4d18") + (5).to_bytes(4, "little") + b"later"  # RFC 8878, 3.1.2


def _halves(compress: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda content: compress(content[:777_777]) + compress(content[777_777:])


SHAPES = {
    "plain": lambda content: content,
    "gzip": gzip.compress,
    "gzip of two members": _halves(gzip.compress),
    "zstd": zstd.compress,
    "zstd of two frames": _halves(zstd.compress),
    "zstd with a skipped frame before": lambda content: SKIPPED + zstd.compress(content),
    "zstd with a skipped frame behind": lambda content: zstd.compress(content) + SKIPPED,
}
COMPRESSED = [name for name in SHAPES if name != "plain"]


def _stream(content: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_tar(shape: str) -> None:
    content = SHAPES[shape](PLAIN)
    assert is_compressed(content[:4]) is (shape != "plain")
    source = _stream(content)
    with uncompressed(source, what="it") as stream:
        pieces = iter(lambda: stream.read(100_000), b"")
        assert b"".join(pieces) == PLAIN
    assert source.closed


@pytest.mark.parametrize("shape", COMPRESSED)
def test_a_layer_that_ends_too_early_is_an_error(shape: str) -> None:
    content = SHAPES[shape](PLAIN)
    with (
        uncompressed(_stream(content[:-20]), what="layer x") as stream,
        pytest.raises(StoreError, match=r"^layer x can't be unpacked: "),
    ):
        stream.read()


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
def test_damage_anywhere_is_an_error_and_never_another_content(compress: Callable[[bytes], bytes]) -> None:
    """zstd's frames have checksums only where their writer wants them, so what is asked of them is no traceback."""
    whole = compress(PLAIN)
    for seed in range(40):
        dice = random.Random(seed)
        damaged = bytearray(whole)
        damaged[dice.randrange(8, len(whole))] ^= dice.randrange(1, 256)
        with uncompressed(_stream(bytes(damaged)), what="it") as stream:
            try:
                content = stream.read()
            except StoreError:
                continue
        assert content == PLAIN or compress is zstd.compress


def repacked(made: Factory, image: CanonicalImage, compress: Callable[[bytes], bytes], **config: object) -> Descriptor:
    """An image as another tool would have packed it: the same layers compressed otherwise, or a changed claim."""
    layout = made.store.layout
    manifest = layout.manifest(image.manifest)
    kind = "application/vnd.oci.image.layer.v1.tar+zstd"
    layers = tuple(layout.write(compress(made.layer(image, n)), kind) for n in range(len(manifest.layers)))
    document = {**json.loads(layout.read(manifest.config)), **config}
    again = Manifest(layout.write(json.dumps(document).encode(), CONFIG), layers)
    return layout.write(again.encode(), MANIFEST)


def difference(made: Factory, before: Descriptor, after: Descriptor) -> ImageDifference:
    return compare(made.store.layout, before, made.store.layout, after)


@pytest.mark.parametrize("shape", COMPRESSED)
def test_images_are_compared_whatever_compressed_them(made: Factory, shape: str) -> None:
    one = made.image([directory("d"), File("d/a", b"a" * 1000), File("b", b"b")])
    other = made.image([directory("d"), File("d/a", b"a" * 999), File("c", b"b")])
    told = list(difference(made, one.manifest, repacked(made, other, SHAPES[shape])).lines())
    assert told == ["removed b: file", "added c: file", "changed d/a: size 1000 → 999"]


def test_an_image_that_was_only_compressed_again_is_said_to_be_that(made: Factory) -> None:
    image = made.image([File("a", b"a")])
    assert list(difference(made, image.manifest, repacked(made, image, zstd.compress)).lines()) == [
        "the same layers, compressed differently"
    ]


@pytest.mark.parametrize("looked_at_before", [True, False], ids=["after the honest one", "first"])
def test_a_false_diff_id_is_named_and_borrows_no_listing(made: Factory, looked_at_before: bool) -> None:
    """Or an image could be shown as another one is, and leave its files under that one's name."""
    honest, other = made.image([File("a", b"mine")]), made.image([File("a", b"evil")])
    if looked_at_before:
        assert difference(made, honest.manifest, other.manifest)
    claim = {"rootfs": made.config(honest)["rootfs"]}
    liar = repacked(made, other, gzip.compress, **claim)
    with pytest.raises(StoreError, match=f"not to {claim['rootfs']['diff_ids'][0]} as its image says"):
        difference(made, honest.manifest, liar)
    assert [str(d) for d in difference(made, honest.manifest, other.manifest).files] == ["changed a: content"]


@pytest.mark.parametrize("rootfs", [None, {}, {"diff_ids": []}, {"diff_ids": ["sha256:1"]}, {"diff_ids": [1]}])
def test_a_configuration_without_its_layers_is_an_error(made: Factory, rootfs: object) -> None:
    image = made.image([File("a", b"a")])
    with pytest.raises(StoreError, match="does not name its layers"):
        difference(made, image.manifest, repacked(made, image, zstd.compress, rootfs=rootfs))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_engine_may_compress_as_it_likes(made: Factory, tmp_path: Path, shape: str) -> None:
    archive = tmp_path / "archive.tar"
    save(archive, [SHAPES[shape](PLAIN)], diff_ids=[Digest.of(PLAIN)])
    [layer] = from_docker_archive(archive, tmp_path, mounts=None).layers
    assert [path for path, _ in layer.entries()] == [f"file-{n}" for n in range(200)]


def test_an_engine_s_damaged_layer_is_the_build_s_error(tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    save(archive, [zstd.compress(PLAIN)[:-30]], diff_ids=[Digest.of(PLAIN)])
    [layer] = from_docker_archive(archive, tmp_path, mounts=None).layers
    with pytest.raises(BuildError, match=r"^a layer in the engine's archive can't be unpacked: "):
        layer.entries()
