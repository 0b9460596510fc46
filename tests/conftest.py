"""What every test gets: an environment of its own, trees of packages, and the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.command_line import CommandLine
from tests.support.tree import TreeBuilder

# Caches of tools are worth keeping between tests, whatever home directory a test is given.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("PKGTOOL_TESTS_CACHE", str(_CACHE / "pkgtool-tests"))
os.environ.setdefault("GOCACHE", str(_CACHE / "go-build"))
os.environ.setdefault("GOPATH", str(Path.home() / "go"))

# How long an example takes says more of the machine than of the code. A `tmp_path` shared by examples is meant.
settings.register_profile(
    "pkgtool", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
settings.load_profile("pkgtool")

_GIT_CONFIG = """\
[user]
    name = Test
    email = test@example.com
[init]
    defaultBranch = main
[protocol "file"]
    allow = always
[advice]
    detachedHead = false
    addEmbeddedRepo = false
"""
_REMOVED_PREFIXES = ("PKGTOOL_", "DOCKER_", "GIT_", "BUILDAH_", "XDG_", "LINUXKIT_")
_REMOVED = ("GOOS", "GOARCH", "SOURCE_DATE_EPOCH", "PYTHONPATH", "FORCE_COLOR", "CLICOLOR_FORCE")
_FIXED = {"COLUMNS": "100", "LINES": "40", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, and nothing of the person's who runs it; answers that directory."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if (name.startswith(_REMOVED_PREFIXES) and not name.startswith("PKGTOOL_TESTS_")) or name in _REMOVED:
            monkeypatch.delenv(name)
    for name, value in _FIXED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(home))
    # Git's dates are fixed too, so that a commit's id is the same in every run.
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2024-01-01T00:00:00Z")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2024-01-01T00:00:00Z")
    (home / ".gitconfig").write_text(_GIT_CONFIG)
    return home


@pytest.fixture
def tree(tmp_path: Path) -> TreeBuilder:
    """An empty git repository to put packages into."""
    return TreeBuilder(tmp_path / "tree").init()


@pytest.fixture
def pkgtool(tree: TreeBuilder, tmp_path: Path) -> CommandLine:
    """The command line, on `tree` and a store of the test's own."""
    return CommandLine(tree.root, tmp_path / "store")
