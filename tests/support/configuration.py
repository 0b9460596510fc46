"""Reads configuration out of a directory, without git."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pkgtool.config.loader import LoadOptions, load
from pkgtool.config.package import Overrides
from pkgtool.errors import ConfigError, PkgtoolError, Problems
from pkgtool.model import Package, Workspace
from pkgtool.source.trees import WorkingTree

Files = Mapping[str, str | bytes]


def workspace(root: Path, files: Files, *, prefix: str = "", **overrides: Any) -> Workspace:
    """Write files and read them as a tree; each package that has a build.yml and no Dockerfile gets one."""
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        dockerfile = place.parent / "Dockerfile"
        if place.name == "build.yml" and not dockerfile.exists():
            dockerfile.write_text("FROM scratch\n")
    return load(WorkingTree(root), LoadOptions(str(root), prefix, Overrides(**overrides)))


def package(root: Path, build_yml: str | bytes, files: Files | None = None, **overrides: Any) -> Package:
    """The package of one build.yml, in `pkg/p`."""
    found = workspace(root, {"pkg/p/build.yml": build_yml, **(files or {})}, **overrides)
    return next(p for p in found.packages.values() if p.path == "pkg/p")


def problems(root: Path, files: Files, **overrides: Any) -> list[PkgtoolError]:
    """What is wrong with a tree: nothing, one error, or several."""
    try:
        workspace(root, files, **overrides)
    except Problems as several:
        return list(several.problems)
    except ConfigError as one:
        return [one]
    return []


def package_problems(root: Path, build_yml: str | bytes, files: Files | None = None, **overrides: Any) -> list[str]:
    """What is wrong with one build.yml, as `LINE:COLUMN MESSAGE`."""
    found = problems(root, {"pkg/p/build.yml": build_yml, **(files or {})}, **overrides)
    assert all(p.location and p.location.file for p in found), found
    return [f"{p.location.line}:{p.location.column} {p.message}" for p in found if p.location]
