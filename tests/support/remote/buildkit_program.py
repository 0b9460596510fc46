"""buildkitd and buildctl, built once from BuildKit's Go module at a pinned version and hash."""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from pathlib import Path

from pkgtool.oci import locks
from tests.support.registry import go_program

VERSION = "v0.34.2"
_SHA256 = "d491e17052d6e45779fda89eeab5d41f157da373e963931f010dac650c7ebdfc"
_GO = (1, 26, 8)
_URL = f"https://proxy.golang.org/github.com/moby/buildkit/@v/{VERSION}.zip"
_FLAGS = f"-s -w -X github.com/moby/buildkit/version.Version={VERSION}"


def programs() -> Path:
    """The directory that holds both programs. The module's own go.sum pins what they are made of."""
    place = go_program.CACHE / "go-programs" / f"buildkit-{VERSION}-{_SHA256[:16]}"
    with locks.held(go_program.CACHE / "buildkit.lock"):
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as directory:
                _build(Path(directory))
                Path(directory, "out").replace(place)
    return place


def _build(directory: Path) -> None:
    archive = directory / "module.zip"
    go_program.download(_URL, _SHA256, archive)
    with zipfile.ZipFile(archive) as content:
        content.extractall(directory)
    (directory / "out").mkdir()
    go = str(go_program.toolchain(_GO))
    flags = ["-mod=readonly", "-trimpath", f"-ldflags={_FLAGS}", "-o", "../../../out/"]
    subprocess.run(
        [go, "build", *flags, "./cmd/buildkitd", "./cmd/buildctl"],
        cwd=directory / "github.com" / "moby" / f"buildkit@{VERSION}",
        env=go_program.environment(),
        check=True,
        stdin=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    print(programs())
