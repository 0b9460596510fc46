from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.inputs.artifact import Artifact
from pkgtool.model import TreeSettings
from pkgtool.oci.store import Store
from tests.support.debian_bench import Bench
from tests.support.fake_archive import FakeArchive, SigningKey
from tests.support.faulty_server import FaultyServer, running
from tests.support.fetching import BODY, artifact
from tests.support.locked_inputs import git, module_files, sums


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with running() as state:
        yield state


@pytest.fixture
def mirror() -> Iterator[FaultyServer]:
    """A second place for the same files."""
    with running() as state:
        yield state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "store")
    with found.in_use():
        yield found


@pytest.fixture(scope="session")
def archive_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    key = SigningKey.make(tmp_path_factory.mktemp("key"))
    yield key
    key.stop()


@pytest.fixture
def archive(tmp_path: Path, archive_key: SigningKey) -> FakeArchive:
    directory = tmp_path / "archive"
    directory.mkdir()
    return FakeArchive(directory, archive_key)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The package's own files."""
    path = tmp_path / "pkg"
    path.mkdir()
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "upstream"
    path.mkdir()
    git(path, "init", "--quiet")
    (path / "deep" / "er").mkdir(parents=True)
    (path / "deep" / "er" / "file").write_text("one\n")
    (path / "run").write_text("#!/bin/sh\n")
    (path / "run").chmod(0o755)
    (path / "link").symlink_to("deep/er/file")
    (path / ".gitattributes").write_text("run export-ignore\n")
    (path / ("long" * 40)).write_text("long name\n")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message", "one")
    git(path, "tag", "--annotate", "--message", "v1", "v1.0")
    return path


@pytest.fixture
def proxy(server: FaultyServer, directory: Path, tmp_path: Path) -> FaultyServer:
    files = module_files("example.org/Lib", "v1.2.3")
    server.files |= files
    (directory / "go.sum").write_text(sums("example.org/Lib", "v1.2.3", files, tmp_path))
    return server


@pytest.fixture
def bench(server: FaultyServer, archive: FakeArchive, store: Store) -> Bench:
    settings = TreeSettings(debian_mirror=server.url, debian_snapshot="", debian_security_mirror="")
    return Bench(server, archive, store, settings)


@pytest.fixture
def served(server: FaultyServer) -> Artifact:
    server.files["/thing"] = BODY
    return artifact(f"{server.url}/thing")
