"""Git commits: pinned, fetched as a tar, from servers of several kinds."""

from __future__ import annotations

import tarfile
import threading
import time
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.errors import InputError, Interrupted
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.names import date
from pkgtool.model import GitInput, Package
from pkgtool.oci.store import Store
from tests.support.faulty_server import FaultyServer
from tests.support.locked_inputs import QUICK, SETTINGS, artifacts, git, lock, package, refused


def from_repository(url: object, ref: str = "v1.0") -> Package:
    return package(git=(GitInput("src", str(url), ref),))


def test_a_tag_is_pinned_to_its_commit(store: Store, repository: Path, directory: Path) -> None:
    found = lock(store, from_repository(repository), directory)
    assert found.git[0].commit == git(repository, "rev-parse", "v1.0^{commit}")
    assert found.date == date("2023-11-14T22:13:20Z")
    assert lock(store, from_repository(repository), directory, previous=found) is found


def test_the_tar_depends_on_the_commit_alone(store: Store, repository: Path, directory: Path, tmp_path: Path) -> None:
    found = lock(store, from_repository(repository), directory).git[0]
    git(repository, "gc", "--aggressive", "--quiet")
    with tarfile.open(store.input_path(found.content.digest)) as archive:
        entries = [(m.name, m.mode, m.mtime, m.uid, m.uname) for m in archive]
    assert [name for name, *_ in entries] == [
        ".gitattributes", "deep/er/file", "link", "long" * 40, "run",
    ]  # fmt: skip
    assert {entry[1:] for entry in entries} == {
        (0o644, 1_700_000_000, 0, ""), (0o755, 1_700_000_000, 0, ""), (0o777, 1_700_000_000, 0, ""),
    }  # fmt: skip
    with Store(tmp_path / "other").in_use():
        again = lock(Store(tmp_path / "other"), from_repository(repository), directory).git[0]
    assert again == found


def test_a_branch_moves_only_when_asked(store: Store, repository: Path, directory: Path) -> None:
    old = lock(store, from_repository(repository, "main"), directory)
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "two")
    assert lock(store, from_repository(repository, "main"), directory, previous=old) == old
    new = lock(store, from_repository(repository, "main"), directory, previous=old, update=frozenset({"src"}))
    assert new.git[0].commit == git(repository, "rev-parse", "main") != old.git[0].commit


def test_an_older_commit_from_a_url_and_from_a_server_that_gives_tips_only(
    store: Store, repository: Path, directory: Path
) -> None:
    old = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "two")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "false")
    found = lock(store, from_repository(repository.as_uri(), old), directory)
    assert found.git[0].commit == old


def test_bundles(store: Store, repository: Path, directory: Path, server: FaultyServer, tmp_path: Path) -> None:
    bundle = tmp_path / "upstream.bundle"
    git(repository, "bundle", "create", "--quiet", str(bundle), "--all")
    server.files["/upstream.bundle"] = bundle.read_bytes()
    expected = lock(store, from_repository(repository), directory).git[0]
    for url in (bundle.as_uri(), f"{server.url}/upstream.bundle"):
        found = lock(store, from_repository(url), directory).git[0]
        assert (found.commit, found.content) == (expected.commit, expected.content)


def test_refs_and_repositories_that_do_not_exist(store: Store, repository: Path, directory: Path) -> None:
    error = refused(store, from_repository(repository, "v9"), directory)
    assert error.message == "src: the git ref v9 can't be looked up"
    assert error.details == (f"file://{repository}: has no branch or tag v9",)
    error = refused(store, from_repository(repository / "none"), directory)
    assert any("does not appear to be a git repository" in line for line in error.details)
    error = refused(store, from_repository(repository, "0" * 40), directory)
    assert error.message == "src at 000000000000 could not be fetched"


def test_a_commit_that_is_gone_names_the_command(store: Store, repository: Path, directory: Path) -> None:
    found = lock(store, from_repository(repository), directory)
    store.input_path(found.git[0].content.digest).unlink()
    git(repository, "update-ref", "-d", "refs/tags/v1.0")
    git(repository, "checkout", "--quiet", "--orphan", "new")
    git(repository, "commit", "--quiet", "--message", "new")
    git(repository, "branch", "-D", "main")
    git(repository, "reflog", "expire", "--expire=now", "--all")
    git(repository, "gc", "--prune=now", "--quiet")
    with Fetcher(store, limits=QUICK) as fetcher, pytest.raises(InputError) as caught:
        fetcher.fetch(artifacts("pkg/x", found, SETTINGS))
    assert caught.value.hint is not None
    assert "pkgtool lock --update src pkg/x" in caught.value.hint


def test_sha256_repositories(store: Store, tmp_path: Path, directory: Path) -> None:
    path = tmp_path / "upstream"
    path.mkdir()
    git(path, "init", "--quiet", "--object-format=sha256")
    (path / "file").write_text("x")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message", "one")
    assert len(lock(store, from_repository(path, "main"), directory).git[0].commit) == 64


def test_cancelling_ends_git(store: Store, server: FaultyServer) -> None:
    path = "/silent.git/info/refs?service=git-upload-pack"
    server.faults[path] = ["silent…"]
    cancel = Cancellation()
    timer = threading.Timer(1.0, cancel.request)
    timer.start()
    started = time.monotonic()
    with Fetcher(store, limits=QUICK, cancel=cancel) as fetcher, pytest.raises(Interrupted):
        fetcher.learn("silent", [f"git+{server.url}/silent.git#{'1' * 40}"])
    assert time.monotonic() - started < 10
    assert server.requests[path] == 1
    timer.join()
