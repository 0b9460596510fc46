"""Images of a store as its own files say it: read here with nothing of pkgtool, so that the store itself is tested."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNTIME_LABEL = "org.mobyproject.config"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One platform's image in an OCI layout."""

    layout: Path
    reference: str
    digest: str

    @property
    def manifest(self) -> dict[str, Any]:
        return self._json(self.digest)

    @property
    def config(self) -> dict[str, Any]:
        return self._json(self.manifest["config"]["digest"])

    @property
    def labels(self) -> dict[str, str]:
        return self.config["config"]["Labels"]

    @property
    def runtime(self) -> dict[str, Any]:
        """LinuxKit's runtime configuration."""
        return json.loads(self.labels.get(RUNTIME_LABEL, "{}"))

    @property
    def command(self) -> list[str]:
        """What starts when nobody says otherwise."""
        config = self.config["config"]
        return [*config.get("Entrypoint", []), *config.get("Cmd", [])]

    @property
    def layers(self) -> list[Path]:
        return [self._blob(layer["digest"]) for layer in self.manifest["layers"]]

    def names(self) -> set[str]:
        """The paths of all layers, without leading slash."""
        listed = [subprocess.run(["tar", "-tzf", layer], capture_output=True, check=True) for layer in self.layers]
        return {line.rstrip("/") for one in listed for line in one.stdout.decode().splitlines()}

    def files(self) -> dict[str, tarfile.TarInfo]:
        """What the layers hold on top of each other, by path without leading slash. No layer here takes back a tree."""
        found: dict[str, tarfile.TarInfo] = {}
        for layer in self.layers:
            with tarfile.open(layer, "r:*") as entries:
                for entry in entries:
                    parent, _, name = entry.name.rpartition("/")
                    if name.startswith(".wh."):
                        found.pop(f"{parent}/{name.removeprefix('.wh.')}".lstrip("/"), None)
                    else:
                        found[entry.name] = entry
        return found

    def unpack(self, target: Path) -> Path:
        """Lay the layers on top of each other, as GNU tar does it."""
        target.mkdir(parents=True)
        for layer in self.layers:
            subprocess.run(["tar", "-xpzf", layer, "--numeric-owner", "--xattrs", "-C", target], check=True)
            for marker in list(target.rglob(".wh.*")):
                gone = marker.with_name(marker.name.removeprefix(".wh."))
                if gone.is_dir() and not gone.is_symlink():
                    shutil.rmtree(gone)
                else:
                    gone.unlink(missing_ok=True)
                marker.unlink()
        return target

    def _blob(self, digest: str) -> Path:
        return self.layout / "blobs" / digest.replace(":", "/")

    def _json(self, digest: str) -> dict[str, Any]:
        return json.loads(self._blob(digest).read_bytes())


def stored(layout: Path, reference: str) -> StoredImage:
    """The image that a reference names; it must name a platform's image."""
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    for entry in entries:
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == reference:
            assert "manifest" in entry["mediaType"], f"{reference} is {entry['mediaType']}"
            return StoredImage(layout, reference, entry["digest"])
    raise AssertionError(f"{layout} has no {reference}")
