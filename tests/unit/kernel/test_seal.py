"""From an unsigned image's files to the published ones, and the same by a stranger without the key."""

from __future__ import annotations

import json

import pytest

from pkgtool.errors import KernelError
from pkgtool.kernel import modsign
from pkgtool.kernel.identity import open_identity
from pkgtool.kernel.seal import Signatures, check, reseal, seal
from tests.support.kernel import miniature_kernel, modules, openssl_key_pair, write_archive


@pytest.fixture
def unsigned(tmp_path, identity):
    directory = tmp_path / "unsigned"
    directory.mkdir()
    miniature_kernel(directory, identity.certificate.der)
    write_archive(directory / "kernel.tar", modules(5))
    (directory / "kernel-config").write_text('CONFIG_MODULE_SIG_HASH="sha256"\n')
    return directory


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_two_files_change(tmp_path, unsigned, identity):
    seal(unsigned, tmp_path / "sealed", identity)
    before, after = contents(unsigned), contents(tmp_path / "sealed")
    assert {name for name in after if after[name] != before.get(name)} == {"kernel.tar", "kernel-modules.json"}
    assert check(tmp_path / "sealed").findings == ()
    assert len(check(unsigned).findings) == 5
    manifest = json.loads(after["kernel-modules.json"])["modules"]
    assert [set(entry) for entry in manifest] == [{"path", "sha256", "unsigned", "signer", "hash"}] * 5


def test_a_stranger_reaches_the_same_bytes_without_the_key(tmp_path, unsigned, identity):
    seal(unsigned, tmp_path / "sealed", identity)
    published = modsign.detach_signatures(tmp_path / "sealed/kernel.tar")
    reseal(unsigned, tmp_path / "again", Signatures(published))
    assert contents(tmp_path / "again") == contents(tmp_path / "sealed")


def test_a_key_that_this_kernel_does_not_trust_is_refused_first(tmp_path, unsigned):
    other = openssl_key_pair(tmp_path, "other")
    foreign = open_identity(other.certificate, other.key, hash_name="sha256", passphrase=bytes)
    with pytest.raises(KernelError, match="does not trust the certificate 'other', but 'modules'"):
        seal(unsigned, tmp_path / "sealed", foreign)
    assert not (tmp_path / "sealed").exists()


def test_swapped_signatures_are_noticed(tmp_path, unsigned, identity):
    seal(unsigned, tmp_path / "sealed", identity)
    published = modsign.detach_signatures(tmp_path / "sealed/kernel.tar")
    one, two = sorted(published)[:2]
    published[one], published[two] = published[two], published[one]
    with pytest.raises(KernelError, match="2 of 5 modules would be refused"):
        reseal(unsigned, tmp_path / "again", Signatures(published))
