"""An engine that only copies: its image holds the context's files in one layer. For trees whose steps don't matter."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.engines.interface import BuildRequest, EngineInfo, LineSink
from pkgtool.values import Platform


class InstantEngine:
    """Behind the interface of the real ones.."""

    def __init__(self) -> None:
        self.info = EngineInfo("instant", "1", Platform("linux", "amd64"))

    def build(self, request: BuildRequest, output: Path, *, log: LineSink, cancel: Cancellation) -> EngineInfo:
        cancel.check()
        layers = [self._layer(request.context)]
        config = {
            "os": request.platform.os,
            "architecture": request.platform.arch,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(x).hexdigest()}" for x in layers]},
            "config": {},
        }
        with tarfile.open(output, "w") as archive:
            names = [f"{number}/layer.tar" for number in range(len(layers))]
            for name, content in zip(names, layers, strict=True):
                _add(archive, name, content)
            _add(archive, "config.json", json.dumps(config).encode())
            manifest = [{"Config": "config.json", "Layers": names, "RepoTags": None}]
            _add(archive, "manifest.json", json.dumps(manifest).encode())
        return self.info

    def close(self) -> None:
        """There is nothing to let go of."""

    @staticmethod
    def _layer(context: Path) -> bytes:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as layer:
            for file in sorted(context.rglob("*")):
                layer.add(file, arcname=file.relative_to(context).as_posix(), recursive=False)
        return content.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
