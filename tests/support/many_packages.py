"""Trees of many packages, for measuring: quick to write, each package with a file or two and dependencies."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_PERSON = {"NAME": "Test", "EMAIL": "test@example.com", "DATE": "2024-01-01T00:00:00Z"}
_CONFIGURATION = """\
image: {name}
config:
  binds: [/etc/resolv.conf:/etc/resolv.conf]
  capabilities: [CAP_NET_BIND_SERVICE]
"""


def make(root: Path, count: int) -> Path:
    """A committed tree: the first package stands alone, every other on one or two of those before it."""
    for number in range(count):
        place = root / "pkg" / _name(number)
        place.mkdir(parents=True)
        below = sorted({number // 10, number // 3} - {number})
        needs = f"depends:\n  packages: [{', '.join(map(_name, below))}]\n" if below else ""
        (place / "build.yml").write_text(_CONFIGURATION.format(name=_name(number)) + needs)
        images = [f"{_name(other).replace('-', '_').upper()}_IMAGE" for other in below]
        recipe = f"ARG {images[0]}\nFROM ${{{images[0]}}}\n" if images else "FROM scratch\n"
        (place / "Dockerfile").write_text(f"{recipe}COPY content /{_name(number)}\n")
        (place / "content").write_text(f"{number}\n")
    for command in (
        "init --quiet",
        "config gc.auto 0",
        "config core.fsync none",
        "add --all",
        "commit --quiet --message=tree",
    ):
        subprocess.run(["git", *command.split()], cwd=root, env=_environment(), check=True)
    return root


def _name(number: int) -> str:
    return f"package-{number:05}"


def _environment() -> dict[str, str]:
    person = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()}
    return {**os.environ, **person}
