"""Each thing that can be wrong with a key has its own error, before anything is built."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from pkgtool.errors import KernelError
from pkgtool.kernel.development import ensure_development_key, refuse_development
from pkgtool.kernel.identity import (
    CertificateExpired,
    KeyMismatch,
    KeyMissing,
    KeyUnusable,
    WrongPassphrase,
    identity,
    open_identity,
    read_certificate,
)
from tests.support.kernel import openssl_key_pair


def opened(pair, *, passphrase=b"", now=None, hash_name="sha256"):
    return open_identity(pair.certificate, pair.key, hash_name=hash_name, passphrase=lambda: passphrase, now=now)


def test_a_missing_key_is_named(tmp_path, pair):
    with pytest.raises(KeyMissing, match=r"absent\.key can't be read: No such file"):
        open_identity(pair.certificate, tmp_path / "absent.key", hash_name="sha256", passphrase=bytes)


def test_a_missing_certificate_is_named(tmp_path, pair):
    with pytest.raises(KeyMissing, match=r"certificate .*absent\.pem"):
        open_identity(tmp_path / "absent.pem", pair.key, hash_name="sha256", passphrase=bytes)


def test_an_encrypted_key_needs_its_passphrase(tmp_path, pair):
    encrypted = tmp_path / "encrypted.key"
    subprocess.run(
        ["openssl", "pkey", "-in", pair.key, "-aes256", "-passout", "pass:right", "-out", encrypted], check=True
    )
    asked = type(pair)(encrypted, pair.certificate)
    assert opened(asked, passphrase=b"right").certificate.common_name == "modules"
    with pytest.raises(WrongPassphrase, match=r"passphrase of .*encrypted"):
        opened(asked, passphrase=b"wrong")


def test_a_key_that_is_not_encrypted_asks_nobody(pair):
    def ask():
        raise AssertionError("asked")

    open_identity(pair.certificate, pair.key, hash_name="sha256", passphrase=ask)


def test_an_expired_certificate_is_refused(pair):
    with pytest.raises(CertificateExpired, match="expired on"):
        opened(pair, now=datetime.now(UTC) + timedelta(days=31))
    with pytest.raises(CertificateExpired, match="not valid before"):
        opened(pair, now=datetime(2001, 1, 1, tzinfo=UTC))


def test_key_and_certificate_must_belong_together(tmp_path, pair):
    other = openssl_key_pair(tmp_path, "other")
    with pytest.raises(KeyMismatch, match="is not the key of"):
        opened(type(pair)(other.key, pair.certificate))


def test_a_signer_from_elsewhere_is_probed(pair):
    certificate = read_certificate(pair.certificate)
    with pytest.raises(KeyMismatch, match="does not accept"):
        identity(certificate, lambda message: bytes(256), hash_name="sha256")


def test_other_kinds_of_key_are_refused(tmp_path, pair):
    curve = openssl_key_pair(tmp_path, "curve", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    with pytest.raises(KeyUnusable, match="RSA"):
        read_certificate(curve.certificate)
    with pytest.raises(KeyUnusable, match="RSA"):
        opened(type(pair)(curve.key, pair.certificate))


def test_what_is_no_key_is_said(tmp_path, pair):
    junk = tmp_path / "junk"
    junk.write_text("hello\n")
    with pytest.raises(KeyUnusable, match="not a certificate"):
        read_certificate(junk)
    with pytest.raises(KeyUnusable, match="not a private key"):
        opened(type(pair)(junk, pair.certificate))


def test_a_development_key_says_so_and_is_not_published(tmp_path, pair):
    key, certificate = ensure_development_key(tmp_path / "keys")
    assert key.stat().st_mode & 0o777 == 0o600
    assert ensure_development_key(tmp_path / "keys")[1].read_bytes() == certificate.read_bytes()
    found = open_identity(certificate, key, hash_name="sha256", passphrase=bytes).certificate
    assert found.for_development
    with pytest.raises(KernelError, match="nobody vouches for"):
        refuse_development(found)
    refuse_development(read_certificate(pair.certificate))
