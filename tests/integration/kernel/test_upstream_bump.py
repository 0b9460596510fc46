"""The next release of a series from kernel.org: its list, its tarball and the signature over the uncompressed tar.

A server on loopback stands in for kernel.org, and a throw-away key for the one that signs releases.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import shutil
import tarfile
from dataclasses import dataclass

import pytest

from tests.support.command_line import CommandLine, Ended
from tests.support.fake_archive import SigningKey
from tests.support.faulty_server import FaultyServer, running
from tests.support.kernel import ROOT
from tests.support.tree import TreeBuilder

TARBALL = "/pub/linux/kernel/v6.x/linux-6.6.2.tar.xz"
SIGNATURE = "/pub/linux/kernel/v6.x/linux-6.6.2.tar.sign"
SERIES = """
# A series of kernel.org's.
series: "6.6"
version: 6.6.1
end-of-life: 2099-12-31
releases:
  6.6.1:
    url: https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.6.1.tar.xz
    sha256: {sha256}
    patches: [x86-64-max-page-size.patch]
signature:
  url: https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-{{version}}.tar.sign
  of: tar
  signers: [{signer}]
compiler: gcc-12
platforms: [linux/amd64]
configuration:
  plain: [base]
"""


@dataclass
class KernelOrg:
    """The server, the tree whose mirrors lead to it, and the key that signs."""

    server: FaultyServer
    tree: TreeBuilder
    pkgtool: CommandLine
    key: SigningKey

    def bump(self, *arguments: str) -> Ended:
        return self.pkgtool("kernel", "bump", "6.6", *arguments)

    def bump_with_keyring(self) -> Ended:
        return self.bump("--keyring", str(self.key.keyring))

    @property
    def series(self) -> str:
        return (self.tree.root / "kernel/series/6.6.yml").read_text()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    made = [SigningKey.make(directory, name) for name in ("Release Signer", "Somebody Else")]
    yield made
    for key in made:
        key.stop()


@pytest.fixture
def kernel_org(tmp_path, keys):
    key = keys[0]
    tar = tarball()
    releases = [{"version": version} for version in ("6.12.9", "6.6.2", "6.1.3")]
    files = {
        "/releases.json": json.dumps({"releases": releases}).encode(),
        TARBALL: lzma.compress(tar),
        SIGNATURE: key.detached(tar, armor=True),
    }
    tree = TreeBuilder(tmp_path / "tree").init()
    shutil.copytree(ROOT / "kernel", tree.root / "kernel", ignore=shutil.ignore_patterns("__pycache__"))
    tree.write("kernel/series/6.6.yml", SERIES.format(sha256="0" * 64, signer=key.fingerprint).lstrip())
    with running() as server:
        server.files.update(files)
        tree.write(
            "pkgtool.yml",
            "org: example\nmirrors:\n"
            f"  https://www.kernel.org/: {server.url}/\n  https://cdn.kernel.org/: {server.url}/\n",
        )
        yield KernelOrg(server, tree, CommandLine(tree.root, tmp_path / "store"), key)


def tarball() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        text = b"VERSION = 6\nPATCHLEVEL = 6\nSUBLEVEL = 2\n"
        member = tarfile.TarInfo("linux-6.6.2/Makefile")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return stream.getvalue()


def test_the_next_release_is_pinned_once_its_signature_is_right(kernel_org):
    assert kernel_org.bump_with_keyring().ok().out.strip() == "6.6: pinned 6.6.2"
    listed = kernel_org.pkgtool("kernel", "list", "6.6", "--json").ok().json[0]
    assert listed["version"] == "6.6.2"
    assert set(listed["releases"]) == {"6.6.1", "6.6.2"}
    found = listed["releases"]["6.6.2"]
    assert found["source"] == f"https://cdn.kernel.org{TARBALL}"
    assert found["sha256"] == hashlib.sha256(kernel_org.server.files[TARBALL]).hexdigest()
    assert found["patches"] == ["x86-64-max-page-size.patch"]
    assert kernel_org.series.startswith("# A series of kernel.org's.\n")


def test_when_nothing_is_newer_nothing_is_fetched(kernel_org):
    kernel_org.bump_with_keyring().ok()
    before = kernel_org.series
    kernel_org.server.requests.clear()
    assert "nothing newer" in kernel_org.bump().ok().out
    assert kernel_org.series == before
    assert set(kernel_org.server.requests) == {"/releases.json"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda files, _: files.update({TARBALL: lzma.compress(tarball() + b"\0")}), "does not fit the file"),
        (lambda files, other: files.update({SIGNATURE: other.detached(tarball())}), "not in the keyring"),
        (lambda files, _: files.update({SIGNATURE: b"<html>Sorry</html>"}), "signature"),
        (lambda files, _: files.pop(SIGNATURE), "its signature could not be fetched"),
        (lambda files, _: files.pop(TARBALL), "linux 6.6.2 could not be fetched"),
        (lambda files, _: files.update({"/releases.json": b"<html>Sorry</html>"}), "something else than a list"),
        (lambda files, _: files.update({"/releases.json": b'{"releases": []}'}), "no release of 6.6 any more"),
    ],
    ids=["other bytes", "other key", "no signature", "404 signature", "404 tarball", "page", "ended"],
)
def test_what_is_not_right_is_not_pinned(kernel_org, keys, spoil, message):
    before = kernel_org.series
    spoil(kernel_org.server.files, keys[1])
    refused = kernel_org.bump_with_keyring()
    assert refused.code != 0
    assert message in refused.err
    assert kernel_org.series == before


def test_a_good_signature_by_somebody_who_does_not_sign_the_series(kernel_org, keys):
    other = keys[1]
    before = kernel_org.series
    kernel_org.server.files[SIGNATURE] = other.detached(tarball())
    refused = kernel_org.bump("--keyring", str(other.keyring))
    assert refused.code != 0
    assert f"is signed by {other.fingerprint}, who does not sign series 6.6" in refused.err
    assert kernel_org.series == before


def test_without_a_keyring_nothing_is_fetched_but_the_list(kernel_org):
    refused = kernel_org.bump()
    assert refused.code != 0
    assert "6.6.2 is new" in refused.err
    assert "--keyring" in refused.err
    assert set(kernel_org.server.requests) == {"/releases.json"}
