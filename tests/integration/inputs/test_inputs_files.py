"""Files: pinned, with upstream's signature, and refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
from pathlib import Path

import pytest

from pkgtool.inputs.names import date
from pkgtool.model import FileInput, Package
from pkgtool.oci.store import Store
from pkgtool.values import Digest
from tests.support.fake_archive import SigningKey
from tests.support.faulty_server import FaultyServer
from tests.support.locked_inputs import lock, package, refused


def tar_of(name: str, content: bytes, time: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(content), time
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


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
