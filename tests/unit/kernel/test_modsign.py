"""Signing archives, putting signatures back, and finding every module that a kernel would refuse."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.errors import Interrupted, KernelError
from pkgtool.kernel import modsign
from pkgtool.kernel.identity import open_identity
from pkgtool.kernel.image import certificates_in
from pkgtool.kernel.signature import split, trailer
from pkgtool.kernel.verify import Refusal, trust_of, verify_archive, verify_modules
from tests.support.kernel import miniature_kernel, modules, openssl_key_pair, read_archive, write_archive


@pytest.fixture
def unsigned(tmp_path):
    long = f"lib/modules/x/{'deep/' * 30}module.ko"
    return write_archive(tmp_path / "unsigned.tar", {**modules(12), long: b"long name", "lib/readme": b"no module"})


@pytest.fixture
def trust(tmp_path, identity):
    return trust_of(*miniature_kernel(tmp_path, identity.certificate.der), 'CONFIG_MODULE_SIG_HASH="sha256"\n')


def test_every_module_is_signed_and_nothing_else_changes(tmp_path, unsigned, identity, trust):
    signed = tmp_path / "signed.tar"
    sealed = modsign.sign_archive(unsigned, signed, identity)
    before, after = read_archive(unsigned), read_archive(signed)
    assert list(before) == list(after)
    for path, content in after.items():
        stripped, signature = split(memoryview(content))
        assert bytes(stripped) == before[path]
        assert (signature is not None) == path.endswith(".ko")
    assert verify_archive(signed, trust).findings == ()
    assert {m["path"]: m["sha256"] for m in sealed.manifest()["modules"]} == {
        path: hashlib.sha256(content).hexdigest() for path, content in after.items() if path.endswith(".ko")
    }


def test_signing_twice_gives_the_same_bytes(tmp_path, unsigned, identity):
    for name in ("one.tar", "two.tar"):
        modsign.sign_archive(unsigned, tmp_path / name, identity)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_published_signatures_rebuild_the_signed_archive(tmp_path, unsigned, identity):
    sealed = modsign.sign_archive(unsigned, tmp_path / "signed.tar", identity)
    modsign.write_signatures(tmp_path / "signatures.tar", sealed.signatures, epoch=0)
    published = modsign.read_signatures(tmp_path / "signatures.tar")
    assert published == modsign.detach_signatures(tmp_path / "signed.tar")
    again = modsign.attach_signatures(unsigned, tmp_path / "again.tar", published)
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "signed.tar").read_bytes()
    assert again == sealed


def test_signatures_of_another_kernel_are_refused(tmp_path, unsigned, identity):
    signatures = dict(modsign.sign_archive(unsigned, tmp_path / "signed.tar", identity).signatures)
    missing = sorted(signatures)[0]
    signatures["lib/other.ko"] = signatures.pop(missing)
    with pytest.raises(KernelError, match="2 modules differ") as caught:
        modsign.attach_signatures(unsigned, tmp_path / "again.tar", signatures)
    assert caught.value.details == (f"no signature for {missing}", "no module for lib/other.ko")


def test_a_damaged_signature_is_refused_by_name(tmp_path, unsigned, identity):
    signatures = dict(modsign.sign_archive(unsigned, tmp_path / "signed.tar", identity).signatures)
    damaged = sorted(signatures)[3]
    signatures[damaged] = signatures[damaged][:-1]
    with pytest.raises(KernelError, match=f"{damaged}: the signature is damaged: cut off"):
        modsign.attach_signatures(unsigned, tmp_path / "again.tar", signatures)


def test_a_build_that_signed_by_itself_is_noticed(tmp_path, unsigned, identity):
    modsign.sign_archive(unsigned, tmp_path / "signed.tar", identity)
    with pytest.raises(KernelError, match="already has a signature"):
        modsign.sign_archive(tmp_path / "signed.tar", tmp_path / "twice.tar", identity)


def test_signing_can_be_interrupted(tmp_path, unsigned, identity):
    cancel = Cancellation()
    cancel.request()
    with pytest.raises(Interrupted):
        modsign.sign_archive(unsigned, tmp_path / "signed.tar", identity, cancel=cancel)


def test_progress_counts_modules(tmp_path, unsigned, identity):
    seen = []
    modsign.sign_archive(unsigned, tmp_path / "s.tar", identity, progress=lambda *p: seen.append(p))
    assert seen[0] == (1, 13)
    assert seen[-1] == (13, 13)


def test_each_forgery_is_found(tmp_path, pair, identity, trust):
    other = openssl_key_pair(tmp_path, "other")
    foreign = open_identity(other.certificate, other.key, hash_name="sha256", passphrase=bytes)
    stronger = open_identity(pair.certificate, pair.key, hash_name="sha512", passphrase=bytes)
    content = b"\x7fELF" + bytes(5000)
    signature = identity.signature(content)
    flipped = content[:1000] + b"\x01" + content[1001:]
    broken = bytearray(signature)
    broken[-1] ^= 1
    found = verify_modules(
        [
            ("good.ko", content + trailer(signature)),
            ("none.ko", content),
            ("flipped.ko", flipped + trailer(signature)),
            ("cut.ko", content + trailer(signature[:100])),
            ("end-cut.ko", (content + trailer(signature))[:-1]),
            ("foreign.ko", content + trailer(foreign.signature(content))),
            ("hash.ko", content + trailer(stronger.signature(content))),
            ("broken.ko", content + trailer(bytes(broken))),
        ],
        trust,
    )
    assert found.modules == 8
    assert {f.path: f.refusal for f in found.findings} == {
        "none.ko": Refusal.UNSIGNED,
        "flipped.ko": Refusal.CHANGED,
        "cut.ko": Refusal.DAMAGED,
        "end-cut.ko": Refusal.UNSIGNED,
        "foreign.ko": Refusal.FOREIGN,
        "hash.ko": Refusal.OTHER_HASH,
        "broken.ko": Refusal.CHANGED,
    }
    with pytest.raises(KernelError, match="7 of 8 modules would be refused"):
        found.require()


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress, lambda data: data])
def test_certificates_are_found_in_the_image(tmp_path, identity, compress):
    kernel, symbols = miniature_kernel(tmp_path, identity.certificate.der, identity.certificate.der, compress=compress)
    found = certificates_in(kernel.read_bytes(), symbols.read_text())
    assert [c.der for c in found] == [identity.certificate.der] * 2


def test_a_kernel_without_certificates_is_refused(tmp_path):
    with pytest.raises(KernelError, match="trusts no certificate"):
        trust_of(*miniature_kernel(tmp_path))


def test_a_foreign_system_map_is_noticed(tmp_path, identity):
    kernel, symbols = miniature_kernel(tmp_path, identity.certificate.der)
    text = symbols.read_text()
    with pytest.raises(KernelError, match=r"does not fit its System\.map"):
        certificates_in(kernel.read_bytes(), text.replace("ffffffff82000000", "ffffffff82000004"))
    with pytest.raises(KernelError, match="address lies outside"):
        certificates_in(kernel.read_bytes(), text.replace("ffffffff82", "ffffffff92"))
    with pytest.raises(KernelError, match="no list of trusted certificates"):
        certificates_in(kernel.read_bytes(), "")


@pytest.mark.parametrize("content", [b"", b"MZ" + bytes(2000), b"\x1f\x8bjunk", bytes(5000)])
def test_what_is_no_kernel_is_said(content):
    with pytest.raises(KernelError):
        certificates_in(content, "")


def test_what_is_no_archive_is_said(tmp_path, trust):
    (tmp_path / "junk").write_bytes(b"x" * 2000)
    with pytest.raises(KernelError, match="can't be read as a tar archive"):
        verify_archive(tmp_path / "junk", trust)
