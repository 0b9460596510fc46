"""Builds asked of an engine directly, and what comes back, read with nothing of pkgtool."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from pkgtool.cancel import Cancellation
from pkgtool.engines.interface import BuildRequest, Engine, Parent
from pkgtool.oci.canonical.config import ImageSpec
from pkgtool.oci.canonical.image import canonicalise
from pkgtool.oci.canonical.product import from_docker_archive
from pkgtool.oci.store import Store
from pkgtool.values import ImageRef, Platform

AMD64 = Platform("linux", "amd64")
EPOCH = 1_600_000_000
BUSYBOX = 'FROM scratch\nCOPY --chmod=0755 busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n'


class Built:
    """An image that came back: its configuration, its files, and what the build printed."""

    def __init__(self, archive: Path, lines: list[str]) -> None:
        self.archive, self.lines = archive, lines
        self.files: dict[str, bytes] = {}
        with tarfile.open(archive) as outer:
            described = json.load(outer.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
            self.config: dict[str, Any] = json.load(outer.extractfile(described["Config"]))  # type: ignore[arg-type]
            self.layers: list[str] = described["Layers"]
            for layer in self.layers:
                with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                    for member in inner:
                        content = inner.extractfile(member) if member.isreg() else None
                        self.files[member.name.strip("./")] = content.read() if content else b""


def request(place: Path, dockerfile: str, *, busybox: bool = False, **options: object) -> BuildRequest:
    """A build of a Dockerfile with one file, `content`, beside it; `options` are fields of the request."""
    context = place / "context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir()
    (context / "Dockerfile").write_text(dockerfile)
    (context / "content").write_text("content\n")
    if busybox:
        shutil.copy(shutil.which("busybox") or "/bin/busybox", context / "busybox")
    arguments = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    asked = BuildRequest("it linux/amd64", context, "Dockerfile", AMD64, arguments, epoch=EPOCH)
    return replace(asked, **options)  # type: ignore[arg-type]


def with_shell(place: Path, parent: Parent, step: str, **options: object) -> BuildRequest:
    """A build of one step on a parent with a shell."""
    return request(place, f"FROM {parent.reference}\n{step}\n", parents=(parent,), **options)


def build(engine: Engine, asked: BuildRequest, place: Path, cancel: Cancellation | None = None) -> Built:
    """Let the engine do it; it must say that it was itself."""
    lines: list[str] = []
    archive = place / "image.tar"
    archive.unlink(missing_ok=True)
    made_by = engine.build(asked, archive, log=lines.append, cancel=cancel or Cancellation())
    assert made_by == engine.info
    return Built(archive, lines)


def busybox_parent(engine: Engine, store: Store, place: Path) -> Parent:
    """A canonical image in the store with a shell in it, made by that engine."""
    built = build(engine, request(place, BUSYBOX, busybox=True), place)
    product = from_docker_archive(built.archive, place, mounts=())
    image = canonicalise(store.layout, product, ImageSpec(AMD64, EPOCH, "busybox"))
    return Parent(ImageRef("test/busybox", "1-amd64", host="localhost"), image.manifest)
