"""Files with signatures, git commits and Go modules: locked, fetched, and laid out for a build."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from pkgtool import process
from pkgtool.cancel import Cancellation
from pkgtool.errors import ConfigError, InputError, Interrupted, PkgtoolError, Problems
from pkgtool.events import Event, Note
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.go_source import GoProxies
from pkgtool.inputs.go_sum import escaped, hash_mod, hash_zip
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.lock_reader import parse_lock
from pkgtool.inputs.lock_writer import format_lock
from pkgtool.inputs.names import date
from pkgtool.inputs.resolve import NOTHING, Resolver, Target
from pkgtool.inputs.stage import Staging, artifacts_of, stage
from pkgtool.inputs.transfer import Limits
from pkgtool.model import DebianInput, FileInput, GitInput, GoInput, Inputs, Package, TreeSettings
from pkgtool.oci.store import Store
from pkgtool.values import Digest, Platform
from tests.support.fake_archive import FakeArchive, SigningKey
from tests.support.faulty_server import FaultyServer

QUICK = Limits(attempts=2, silence=5, first_wait=0.01)
SETTINGS = TreeSettings(debian_snapshot="", debian_security_mirror="")


def artifacts(name: str, lock: Lock, settings: TreeSettings, proxies: str = "") -> list[Artifact]:
    """All that a lock pins, for all its architectures."""
    archs = lock.debian.request.architectures if lock.debian else ()
    return artifacts_of(Staging(name, lock, archs, 0), settings, proxies=GoProxies(proxies))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The package's own files."""
    path = tmp_path / "pkg"
    path.mkdir()
    return path


def package(**inputs: object) -> Package:
    return Package(
        name="x",
        org="linuxkit",
        path="pkg/x",
        tag_template="",
        platforms=(Platform.parse("linux/amd64"),),
        context=(),
        source_url="",
        source_date_epoch=0,
        inputs=Inputs(**inputs),  # type: ignore[arg-type]
    )


def lock(
    store: Store,
    wanted: Package,
    directory: Path,
    *,
    previous: Lock | None = None,
    update: frozenset[str] | None = NOTHING,
    proxies: str = "",
    settings: TreeSettings = SETTINGS,
    keyring: str = "",
) -> Lock:
    with (
        Fetcher(store, limits=QUICK) as fetcher,
        Resolver(fetcher, settings, proxies=GoProxies(proxies), keyring=keyring) as resolver,
    ):
        found = resolver.resolve(Target(wanted, directory, (), wanted.platforms), previous=previous, update=update)
    assert parse_lock(format_lock(found).encode(), "inputs.lock") == found
    return found


def refused(store: Store, wanted: Package, directory: Path, **options: object) -> PkgtoolError:
    with pytest.raises(PkgtoolError) as caught:
        lock(store, wanted, directory, **options)  # type: ignore[arg-type]
    return caught.value


def tar_of(name: str, content: bytes, time: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(content), time
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# -- files ----------------------------------------------------------------------------------------------

TAR = tar_of("linux/README", b"read me", 1_757_663_741)


def linux(server: FaultyServer, **more: str) -> Package:
    return package(files=(FileInput("linux.tar.xz", f"{server.url}/linux.tar.xz", **more),))  # type: ignore[arg-type]


def test_a_file_is_pinned_with_the_date_inside_it(store: Store, server: FaultyServer, directory: Path) -> None:
    server.files["/linux.tar.xz"] = lzma.compress(TAR)
    found = lock(store, linux(server), directory)
    assert found.files[0].content.digest == Digest.of(lzma.compress(TAR))
    assert found.date == date("2025-09-12T07:55:41Z")
    server.requests.clear()
    assert lock(store, linux(server), directory, previous=found) is found
    with_mirror = package(files=(FileInput("linux.tar.xz", f"{server.url}/linux.tar.xz", ("http://m/x",)),))
    assert lock(store, with_mirror, directory, previous=found).files[0].content == found.files[0].content
    assert not server.requests, "another mirror does not change what the file is"


def test_a_file_moves_only_when_asked(store: Store, server: FaultyServer, directory: Path) -> None:
    server.files["/linux.tar.xz"] = b"one"
    old = lock(store, linux(server), directory)
    assert old.date is None
    server.files["/linux.tar.xz"] = b"two"
    assert lock(store, linux(server), directory, previous=old) == old
    new = lock(store, linux(server), directory, previous=old, update=frozenset({"linux.tar.xz"}))
    assert new.files[0].content.digest == Digest.of(b"two")


def test_a_file_must_be_what_build_yml_says(store: Store, server: FaultyServer, directory: Path) -> None:
    server.files["/linux.tar.xz"] = b"other"
    error = refused(store, linux(server, sha256="0" * 64), directory)
    found = hashlib.sha256(b"other").hexdigest()
    assert error.details == (f"{server.url}/linux.tar.xz: wrong bytes: sha256 {found}, pinned is {'0' * 64}",)


@pytest.fixture
def signer(archive_key: SigningKey, directory: Path) -> SigningKey:
    (directory / "keys.gpg").write_bytes(archive_key.keyring.read_bytes())
    return archive_key


def signed(server: FaultyServer, suffix: str = ".xz", name: str = "linux.tar.sign") -> Package:
    url = f"{server.url}/linux.tar{suffix}"
    return package(files=(FileInput("linux.tar", url, (), "", f"{server.url}/{name}", "keys.gpg"),))


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".xz", lzma.compress), (".gz", gzip.compress), (".bz2", bz2.compress)]
)
def test_a_signature_over_the_uncompressed_tar(
    store: Store, server: FaultyServer, directory: Path, signer: SigningKey, suffix: str, compress: object
) -> None:
    assert callable(compress)
    server.files[f"/linux.tar{suffix}"] = compress(TAR)
    server.files["/linux.tar.sign"] = signer.detached(TAR)
    found = lock(store, signed(server, suffix), directory).files[0]
    assert found.content.digest == Digest.of(server.files[f"/linux.tar{suffix}"])


def test_a_signature_over_the_file_itself_with_armour(
    store: Store, server: FaultyServer, directory: Path, signer: SigningKey
) -> None:
    server.files["/linux.tar.xz"] = lzma.compress(TAR)
    server.files["/linux.tar.xz.asc"] = signer.detached(lzma.compress(TAR), armor=True)
    (directory / "keys.gpg").write_bytes(signer._gpg("--armor", "--export"))
    assert lock(store, signed(server, name="linux.tar.xz.asc"), directory).files


def test_a_bad_signature(store: Store, server: FaultyServer, directory: Path, signer: SigningKey) -> None:
    server.files["/linux.tar.xz"] = lzma.compress(TAR + b"\0")
    server.files["/linux.tar.sign"] = signer.detached(TAR)
    error = refused(store, signed(server), directory)
    key = signer.fingerprint[-16:]
    assert error.message == f"the signature of linux.tar is refused: it does not fit the file (key {key})"
    assert error.hint == f"gpg --show-keys {directory}/keys.gpg lists the keys that are accepted"


def test_a_signature_by_somebody_else(
    store: Store, server: FaultyServer, directory: Path, signer: SigningKey, tmp_path: Path
) -> None:
    other = SigningKey.make(tmp_path, "Somebody Else")
    try:
        server.files["/linux.tar.xz"] = lzma.compress(TAR)
        server.files["/linux.tar.sign"] = other.detached(TAR)
    finally:
        other.stop()
    error = refused(store, signed(server), directory)
    assert error.message == (
        "the signature of linux.tar is refused: "
        f"it is made with key {other.fingerprint[-16:]}, which is not in the keyring"
    )


def test_no_signature_at_all(store: Store, server: FaultyServer, directory: Path, signer: SigningKey) -> None:
    server.files["/linux.tar.xz"] = lzma.compress(TAR)
    server.files["/linux.tar.sign"] = b"this is no signature"
    error = refused(store, signed(server), directory)
    assert error.message == "the signature of linux.tar is refused: it is no usable signature"


def test_a_file_that_can_not_be_decompressed(
    store: Store, server: FaultyServer, directory: Path, signer: SigningKey
) -> None:
    server.files["/linux.tar.xz"] = b"not xz at all"
    server.files["/linux.tar.sign"] = signer.detached(TAR)
    error = refused(store, signed(server), directory)
    assert error.message.startswith("the file can't be decompressed: ")


# -- git ------------------------------------------------------------------------------------------------


def git(directory: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "GIT_AUTHOR_DATE": "@1700000000 +0000",
        "GIT_COMMITTER_DATE": "@1700000000 +0000",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


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


# -- Go -------------------------------------------------------------------------------------------------


def module_files(module: str, version: str, requires: str = "") -> dict[str, bytes]:
    """What a proxy has of a module."""
    mod = f"module {module}\n\ngo 1.19\n{requires}".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{module}@{version}/go.mod", mod)
        archive.writestr(f"{module}@{version}/code.go", f"package {module.rpartition('/')[2].lower()}\n")
    top = f"/{escaped(module)}/@v/{version}"
    return {f"{top}.mod": mod, f"{top}.zip": buffer.getvalue()}


def sums(module: str, version: str, files: dict[str, bytes], tmp_path: Path) -> str:
    def h1(kind: str) -> str:
        path = tmp_path / f"hashed.{kind}"
        path.write_bytes(next(data for name, data in files.items() if name.endswith(f"{version}.{kind}")))
        return hash_zip(path) if kind == "zip" else hash_mod(path)

    return f"{module} {version} {h1('zip')}\n{module} {version}/go.mod {h1('mod')}\n"


GO = package(go=(GoInput("."),))


@pytest.fixture
def proxy(server: FaultyServer, directory: Path, tmp_path: Path) -> FaultyServer:
    files = module_files("example.org/Lib", "v1.2.3")
    server.files |= files
    (directory / "go.sum").write_text(sums("example.org/Lib", "v1.2.3", files, tmp_path))
    return server


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


# -- laying out -----------------------------------------------------------------------------------------


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
