"""From the files of an image to the list of what it is made of."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pkgtool.errors import StoreError
from pkgtool.sbom import debian, go, kernel
from pkgtool.sbom.files import ImageFile, chunks
from pkgtool.sbom.known import KnownPackage, Matcher
from pkgtool.sbom.model import Component, Inventory, Kind, merged
from pkgtool.values import Digest, Platform

_EXECUTABLE = 0o111
_ELF = b"\x7fELF"
_MAX_RECORD = 64 * 1024 * 1024


def take_inventory(
    files: Iterable[ImageFile],
    *,
    platform: Platform,
    manifest: Digest,
    known: Iterable[KnownPackage] = (),
    labels: Mapping[str, str] | None = None,
) -> Inventory:
    """Look at every file once, in any order.

    `known` are the .debs that took part in the build; those that dpkg's record does not name are found by their files.
    `labels` are the image's own, where a kernel says more of itself. Raises `StoreError` if a file can't be read.
    """
    taker = _Taker(known)
    try:
        for file in files:
            taker.see(file)
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise StoreError(f"the image {manifest} can't be read: {problem}") from problem
    return Inventory(platform, manifest, tuple(merged(taker.components(labels or {}))))


class _Taker:
    def __init__(self, known: Iterable[KnownPackage]) -> None:
        self._known = list(known)
        self._matcher = Matcher(self._known)
        self._packages: list[debian.DebianPackage] = []
        self._modules: list[Component] = []
        self._firmware: list[tuple[str, str]] = []
        self._kernel_info = ""
        self._kernel_configuration = ""

    def see(self, file: ImageFile) -> None:
        """Give the file to whoever can tell something by it."""
        if debian.is_record(file.path):
            self._packages += debian.parse_record(_read(file).decode("utf-8", "replace"))
        elif file.path == kernel.SOURCE_INFO:
            self._kernel_info = _read(file).decode("utf-8", "replace")
        elif file.path == kernel.CONFIGURATION:
            self._kernel_configuration = _sha256(file)
        elif kernel.is_firmware(file.path):
            self._firmware.append((file.path, _sha256(file)))
        elif self._matcher.wants(file):
            again = _repeatable(file)
            self._matcher.see(again)
            self._see_program(again)
        else:
            self._see_program(file)

    def _see_program(self, file: ImageFile) -> None:
        if not file.mode & _EXECUTABLE or file.size <= len(_ELF):
            return
        with file.open() as stream:
            info = go.read_build_info(stream, _ELF) if stream.read(len(_ELF)) == _ELF else None
        if info:
            self._modules += go.components(file.path, info)

    def components(self, labels: Mapping[str, str]) -> list[Component]:
        packages, extra = self._debian()
        found = [*debian.components(packages, extra), *self._modules]
        found += kernel.firmware(self._firmware, (package.name for package in packages))
        linux = kernel.kernel(self._kernel_info, self._kernel_configuration, labels)
        return [*found, linux] if linux else found

    def _debian(self) -> tuple[list[debian.DebianPackage], dict[str, Component]]:
        """The packages of dpkg's record, those found by their files, and what the lock knows of both."""
        packages = list(self._packages)
        recorded = {package.name for package in packages}
        extra = {each.package.purl: _known_component(each) for each in self._known}
        for each, paths in self._matcher.found():
            # Files that several versions or architectures share prove none of them against the record.
            if each.package.name not in recorded:
                packages.append(each.package)
                extra[each.package.purl] = replace(extra[each.package.purl], locations=paths)
        return packages, extra


def _known_component(known: KnownPackage) -> Component:
    package = known.package
    hashes = {"sha256": known.sha256} if known.sha256 else {}
    return Component(Kind.DEBIAN, package.name, package.version, package.purl, download=known.url, hashes=hashes)


def _repeatable(file: ImageFile) -> ImageFile:
    """A file of a stream can be opened once; this one any number of times."""
    with file.open() as stream:
        content = stream.read()
    return replace(file, open=lambda: io.BytesIO(content))


def _read(file: ImageFile) -> bytes:
    with file.open() as stream:
        return stream.read(_MAX_RECORD)


def _sha256(file: ImageFile) -> str:
    digest = hashlib.sha256()
    with file.open() as stream:
        for piece in chunks(stream):
            digest.update(piece)
    return digest.hexdigest()
