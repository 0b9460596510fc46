"""Inputs of every kind laid out for a build."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pkgtool import process
from pkgtool.errors import InputError
from pkgtool.events import Event, Note
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.go_source import GoProxies
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.stage import Staging, stage
from pkgtool.model import DebianInput, FileInput, GitInput, GoInput, TreeSettings
from pkgtool.oci.store import Store
from tests.support.fake_archive import FakeArchive
from tests.support.faulty_server import FaultyServer
from tests.support.locked_inputs import QUICK, artifacts, lock, package


@pytest.fixture
def everything(
    store: Store,
    proxy: FaultyServer,
    archive: FakeArchive,
    repository: Path,
    directory: Path,
) -> tuple[Lock, TreeSettings, str]:
    """A lock with every kind of input, its settings and module proxy; nothing of it is in the store."""
    archive.add("tool", "1:2.0", arch="amd64", Depends="library")
    archive.add("library")
    archive.add("tool", "1:2.0", arch="arm64", Depends="library")
    proxy.files |= archive.publish()
    proxy.files["/file"] = b"a file"
    settings = TreeSettings(debian_mirror=proxy.url, debian_snapshot="", debian_security_mirror="")
    wanted = package(
        debian=DebianInput("trixie", ("tool",)),
        files=(FileInput("file", f"{proxy.url}/file"),),
        git=(GitInput("src", str(repository), "v1.0"),),
        go=(GoInput("."),),
    )
    keyring = str(archive.key.keyring)
    found = lock(store, wanted, directory, proxies=proxy.url, settings=settings, keyring=keyring)
    return found, settings, proxy.url


def laid_out(
    store: Store, everything: tuple[Lock, TreeSettings, str], target: Path, **options: object
) -> tuple[dict[str, tuple[object, ...]], list[Event]]:
    """Every path below `target/inputs` with type, mode, time and content, and the events of staging it."""
    found, settings, proxies = everything
    events: list[Event] = []
    with Fetcher(store, limits=QUICK, events=events.append, **options) as fetcher:  # type: ignore[arg-type]
        staging = Staging("pkg/x", found, ("amd64",), 1_600_000_000)
        stage(staging, target, fetcher, settings, proxies=GoProxies(proxies))
    listing: dict[str, tuple[object, ...]] = {}
    for path in sorted((target / "inputs").rglob("*")):
        state = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        listing[str(path.relative_to(target))] = (oct(state.st_mode), state.st_mtime, content)
    return listing, events


def test_every_kind_is_laid_out(store: Store, everything: tuple[Lock, TreeSettings, str], tmp_path: Path) -> None:
    listing, _ = laid_out(store, everything, tmp_path / "context")
    files = [path for path, (mode, *_) in listing.items() if not str(mode).startswith("0o4")]
    assert files == [
        "inputs/debian/Packages",
        "inputs/debian/Release",
        "inputs/debian/library_1.0_all.deb",
        "inputs/debian/tool_2.0_amd64.deb",
        "inputs/files/file",
        "inputs/git/src/.gitattributes",
        "inputs/git/src/deep/er/file",
        "inputs/git/src/link",
        "inputs/git/src/" + "long" * 40,
        "inputs/git/src/run",
        "inputs/go/example.org/!lib/@v/list",
        "inputs/go/example.org/!lib/@v/v1.2.3.info",
        "inputs/go/example.org/!lib/@v/v1.2.3.mod",
        "inputs/go/example.org/!lib/@v/v1.2.3.zip",
    ]
    assert listing["inputs/git/src/link"] == ("0o120777", 1_600_000_000, "deep/er/file")
    assert listing["inputs/git/src/run"][:2] == ("0o100755", 1_600_000_000)
    assert {time for _, time, _ in listing.values()} == {1_600_000_000}
    assert {mode for mode, *_ in listing.values()} == {"0o100644", "0o100755", "0o120777", "0o40755"}


def test_neither_umask_nor_place_nor_time_zone_matter(
    store: Store, everything: tuple[Lock, TreeSettings, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = laid_out(store, everything, tmp_path / "one")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    before = os.umask(0o077)
    try:
        found, _ = laid_out(store, everything, tmp_path / "another" / "place")
    finally:
        os.umask(before)
    assert found == expected


def test_apt_can_use_the_repository(store: Store, everything: tuple[Lock, TreeSettings, str], tmp_path: Path) -> None:
    laid_out(store, everything, tmp_path / "context")
    root = tmp_path / "apt"
    for name in ("etc/apt.conf.d", "etc/preferences.d", "lists/partial", "cache/archives/partial"):
        (root / name).mkdir(parents=True)
    (root / "status").touch()
    (root / "etc/sources.list").write_text(f"deb [trusted=yes] copy:{tmp_path}/context/inputs/debian ./\n")
    (root / "apt.conf").write_text(
        f'Dir "{root}"; Dir::State "{root}"; Dir::State::status "{root}/status"; Dir::Cache "{root}/cache";\n'
        f'Dir::Etc "{root}/etc"; APT::Sandbox::User ""; APT::Architecture "amd64"; APT::Architectures {{ "amd64"; }};\n'
    )
    environment = {"APT_CONFIG": str(root / "apt.conf")}
    for command in (["update", "-o", "APT::Update::Error-Mode=any"], ["install", "--yes", "--download-only", "tool"]):
        process.run(["apt-get", *command], why="test", env=environment)
    assert sorted(path.name for path in (root / "cache/archives").glob("*.deb")) == [
        "library_1.0_all.deb",
        "tool_1%3a2.0_amd64.deb",
    ]


def test_damage_in_the_store_is_repaired_while_staging(
    store: Store, everything: tuple[Lock, TreeSettings, str], tmp_path: Path
) -> None:
    expected, _ = laid_out(store, everything, tmp_path / "one")
    found, settings, proxies = everything
    for artifact in artifacts("pkg/x", found, settings, proxies):
        path = store.input_path(artifact.digest)
        if path.exists():
            path.write_bytes(bytes(artifact.size))
    listing, events = laid_out(store, everything, tmp_path / "two")
    assert listing == expected
    warnings = [event.message for event in events if isinstance(event, Note)]
    assert len(warnings) == 6
    assert any(
        message.startswith("src at ") and " in the store is damaged, removed: " in message for message in warnings
    )


def test_damage_offline_is_an_error_that_names_everything(
    store: Store, everything: tuple[Lock, TreeSettings, str], tmp_path: Path
) -> None:
    laid_out(store, everything, tmp_path / "one")
    path = store.input_path(everything[0].files[0].content.digest)
    path.write_bytes(b"A file")
    with pytest.raises(InputError) as caught:
        laid_out(store, everything, tmp_path / "two", offline=True)
    assert caught.value.message == "offline, and 1 input is not in the store"
    assert caught.value.hint == "with network: pkgtool fetch pkg/x"
    assert not path.exists()


def test_staged_files_are_not_those_of_the_store(
    store: Store, everything: tuple[Lock, TreeSettings, str], tmp_path: Path
) -> None:
    laid_out(store, everything, tmp_path / "one")
    (tmp_path / "one/inputs/files/file").write_bytes(b"changed by a build")
    laid_out(store, everything, tmp_path / "two", offline=True)
    assert (tmp_path / "two/inputs/files/file").read_bytes() == b"a file"
