"""Go modules: pinned by go.sum, from proxies and from their origin."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from pkgtool.errors import ConfigError, Problems
from pkgtool.inputs.fetch import Fetcher
from pkgtool.oci.store import Store
from tests.support.faulty_server import FaultyServer
from tests.support.locked_inputs import GO, QUICK, SETTINGS, artifacts, git, lock, module_files, refused, sums


def test_modules_are_pinned_from_a_proxy(store: Store, proxy: FaultyServer, directory: Path) -> None:
    found = lock(store, GO, directory, proxies=proxy.url)
    assert found.go
    [module] = found.go.modules
    assert (str(module), module.zip is not None) == ("example.org/Lib@v1.2.3", True)
    assert proxy.requests["/example.org/!lib/@v/v1.2.3.zip"] == 1
    (directory / "go.sum").write_text((directory / "go.sum").read_text() + "\n")
    proxy.requests.clear()
    assert lock(store, GO, directory, proxies=proxy.url, previous=found).go != found.go
    assert not proxy.requests, "what is known is not asked for again"


def test_modules_from_the_second_proxy_and_from_files(
    store: Store, proxy: FaultyServer, mirror: FaultyServer, directory: Path, tmp_path: Path
) -> None:
    for name, content in proxy.files.items():
        (tmp_path / "tree" / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name[1:]).write_bytes(content)
    expected = lock(store, GO, directory, proxies=proxy.url)
    assert lock(store, GO, directory, proxies=f"{mirror.url},{proxy.url}") == expected
    assert lock(store, GO, directory, proxies=f"{mirror.url}|file://{tmp_path}/tree") == expected


def test_a_proxy_that_lies_is_passed_over_and_named(
    store: Store, proxy: FaultyServer, mirror: FaultyServer, directory: Path
) -> None:
    path = "/example.org/!lib/@v/v1.2.3.zip"
    mirror.files |= {
        **proxy.files,
        path: module_files("example.org/Evil", "v1.2.3")["/example.org/!evil/@v/v1.2.3.zip"],
    }
    assert lock(store, GO, directory, proxies=f"{mirror.url},{proxy.url}").go
    error = refused(store, GO, directory, proxies=mirror.url)
    assert error.message == "example.org/Lib@v1.2.3 (zip) could not be fetched"
    assert error.details[0].startswith(f"{mirror.url}{path}: wrong bytes: h1:")
    assert "go.sum says h1:" in error.details[0]


def test_a_module_that_no_proxy_has(store: Store, proxy: FaultyServer, directory: Path) -> None:
    proxy.files.clear()
    error = refused(store, GO, directory, proxies=proxy.url)
    assert error.details == (f"{proxy.url}/example.org/!lib/@v/v1.2.3.zip: answered 404 Not Found",)
    assert error.hint == "check GOPROXY, and that go.sum is of this module ('go mod tidy')"
    assert refused(store, GO, directory, proxies="off").message.endswith("GOPROXY names no place")


def test_modules_from_their_origin(
    store: Store, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "--quiet")
    (origin / "go.mod").write_text("module example.org/lib.git\n\ngo 1.19\n")
    (origin / "code.go").write_text("package lib\n")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message", "one")
    git(origin, "tag", "v1.0.0")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(f'[url "{origin.as_uri()}"]\n\tinsteadOf = https://example.org/lib\n')
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("go.mod", "code.go"):
            archive.writestr(f"example.org/lib.git@v1.0.0/{name}", (origin / name).read_bytes())
    files = {"v1.0.0.mod": (origin / "go.mod").read_bytes(), "v1.0.0.zip": buffer.getvalue()}
    (directory / "go.sum").write_text(sums("example.org/lib.git", "v1.0.0", files, tmp_path))
    found = lock(store, GO, directory, proxies="direct")
    assert found.go
    [module] = found.go.modules
    assert module.zip is not None
    store.input_path(module.zip.digest).unlink()
    with Fetcher(store, limits=QUICK) as fetcher:
        fetcher.fetch(artifacts("x", found, SETTINGS, "direct"))


def test_an_origin_without_the_module(
    store: Store, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text('[url "file:///none/"]\n\tinsteadOf = https://example.org/\n')
    (directory / "go.sum").write_text("example.org/lib.git v1.0.0 h1:x=\nexample.org/lib.git v1.0.0/go.mod h1:y=\n")
    error = refused(store, GO, directory, proxies="direct")
    assert error.details[0].startswith("go+direct:example.org/lib.git@v1.0.0?")
    assert "the go command failed: " in error.details[0]


def test_a_wrong_go_sum_is_located(store: Store, directory: Path) -> None:
    (directory / "go.sum").write_text("example.org/x v1.0.0 h1:abc=\nnonsense\nexample.org/../x v1.0.0 h1:abc=\n")
    error = refused(store, GO, directory)
    assert isinstance(error, Problems)
    assert [str(problem.location) for problem in error.problems] == ["go.sum:2:1", "go.sum:3:1"]


def test_a_missing_go_sum(store: Store, directory: Path) -> None:
    error = refused(store, GO, directory)
    assert isinstance(error, ConfigError)
    assert error.message == "x takes Go modules from go.sum, which can't be read: No such file or directory"
