"""buildkitd and buildctl, built once from BuildKit's Go module at a pinned version and hash."""

from __future__ import annotations

from pathlib import Path

from tests.support.registry import go_program

VERSION = "v0.34.2"
_MODULE = go_program.Module(
    "github.com/moby/buildkit",
    VERSION,
    "d491e17052d6e45779fda89eeab5d41f157da373e963931f010dac650c7ebdfc",
    ("./cmd/buildkitd", "./cmd/buildctl"),
    (1, 26, 8),
    f"-s -w -X github.com/moby/buildkit/version.Version={VERSION}",
)


def programs() -> Path:
    """The directory that holds both programs."""
    return go_program.build_module(_MODULE)


if __name__ == "__main__":
    print(programs())
