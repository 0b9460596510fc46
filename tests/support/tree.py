"""Makes git repositories with packages, as tests need them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

DOCKERFILE = "FROM scratch\nCOPY content /content\n"


@dataclass(slots=True)
class TreeBuilder:
    """A repository at `root`. What is written is not committed before `commit` is called."""

    root: Path

    def init(self, *options: str) -> Self:
        """Make it a git repository; `options` go to `git init`."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", *options)
        return self

    def git(self, *arguments: str, cwd: Path | None = None, stdin: str = "") -> str:
        """Standard output of a git command, without the final newline."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.root,
            input=os.fsencode(stdin),
            capture_output=True,
            env=git_environment(),
        )
        assert done.returncode == 0, (arguments, done.stderr.decode())
        return os.fsdecode(done.stdout).removesuffix("\n")

    def write(self, path: str, content: str | bytes, *, executable: bool = False) -> Path:
        """Write a file, and the directories above it."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        place.chmod(0o755 if executable else 0o644)
        return place

    def package(
        self,
        name: str,
        build_yml: str = "",
        *,
        path: str = "",
        dockerfile: str = DOCKERFILE,
        files: Mapping[str, str | bytes] | None = None,
    ) -> str:
        """A package in `pkg/NAME` (or `path`); `build_yml` is added to the line with its image. Answers its path."""
        directory = path or f"pkg/{name}"
        self.write(f"{directory}/build.yml", f"image: {name}\n{build_yml}")
        if dockerfile:
            self.write(f"{directory}/Dockerfile", dockerfile)
        for file, content in (files if files is not None else {"content": f"{name}\n"}).items():
            self.write(f"{directory}/{file}", content)
        return directory

    def commit(self, message: str = "a commit") -> str:
        """Commit everything that is there; answers the commit's id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def tree_id(self, path: str = "", revision: str = "HEAD") -> str:
        """The object id of a path of a commit, as git itself says it."""
        return self.git("rev-parse", f"{revision}:{path}")


def git_environment() -> dict[str, str]:
    """The environment for git, without what would lead it to another repository."""
    led_away = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    return {name: value for name, value in os.environ.items() if name not in led_away}
