"""What is known about the images of a store beside the images: one folder a manifest, plain files in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pkgtool.oci import files
from pkgtool.values import Digest

PROVENANCE = "provenance.json"
"""The in-toto statement about how the image was made, as it will be signed."""
INVENTORY = "inventory.json"
"""What the image is made of; both forms of its SBOM are written from it."""
TAKEN = "taken.json"
"""The statements that were published about an image made elsewhere, and verified before it was taken: a list."""


class Statements:
    """Files about manifests, by the manifest's digest."""

    def __init__(self, root: Path, temporary: Callable[[], Path]) -> None:
        self._root = root
        self._temporary = temporary

    def path(self, manifest: Digest, name: str) -> Path:
        return self._root / manifest.hex[:2] / manifest.hex / name

    def read(self, manifest: Digest, name: str) -> bytes | None:
        """A file's content, or None if nothing is known."""
        try:
            return self.path(manifest, name).read_bytes()
        except OSError:
            return None

    def write(self, manifest: Digest, name: str, content: bytes) -> None:
        files.write_atomic(self.path(manifest, name), content, unfinished=self._temporary())
