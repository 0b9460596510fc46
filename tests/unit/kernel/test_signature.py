"""The signature format, judged by openssl."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.kernel import der
from pkgtool.kernel.identity import open_identity, read_certificate
from pkgtool.kernel.signature import MAGIC, Malformed, ModuleSignature, SignerId, decode, encode, split, trailer

MODULE = b"\x7fELF" + bytes(range(256)) * 40


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_the_signature_is_openssl_s_to_the_byte(tmp_path, pair, hash_name):
    """`openssl cms` with these options makes the structure that the kernel's sign-file makes."""
    (tmp_path / "m.ko").write_bytes(MODULE)
    identity = open_identity(pair.certificate, pair.key, hash_name=hash_name, passphrase=lambda: b"")
    subprocess.run(
        ["openssl", "cms", "-sign", "-binary", "-noattr", "-nocerts", "-nosmimecap", "-outform", "DER",
         "-md", hash_name, "-signer", pair.certificate, "-inkey", pair.key,
         "-in", tmp_path / "m.ko", "-out", tmp_path / "m.p7s"],
        check=True,
    )  # fmt: skip
    assert identity.signature(MODULE) == (tmp_path / "m.p7s").read_bytes()


def test_openssl_accepts_a_detached_signature(tmp_path, pair, identity):
    (tmp_path / "m.ko").write_bytes(MODULE)
    (tmp_path / "m.p7s").write_bytes(identity.signature(MODULE))
    verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-noverify", "-certfile", pair.certificate,
              "-in", tmp_path / "m.p7s", "-content", tmp_path / "m.ko", "-out", "/dev/null"]  # fmt: skip
    assert subprocess.run(verify, capture_output=True).returncode == 0
    (tmp_path / "m.ko").write_bytes(MODULE + b"x")
    assert subprocess.run(verify, capture_output=True).returncode != 0


def test_the_signer_is_named_as_openssl_shows_it(pair):
    shown = subprocess.run(
        ["openssl", "x509", "-in", pair.certificate, "-noout", "-serial"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert shown == f"serial={read_certificate(pair.certificate).signer.text}"


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=300))
def test_what_is_appended_can_be_taken_off(content, signature):
    assert split(memoryview(content + trailer(signature))) == (content, signature)


@given(st.binary(max_size=200))
def test_any_bytes_are_judged_without_an_accident(content):
    for candidate in (content, content + MAGIC):
        try:
            _, signature = split(memoryview(candidate))
            if signature is not None:
                decode(signature)
        except Malformed:
            pass


@given(st.data())
def test_a_damaged_signature_is_malformed_or_says_something_else(identity, data):
    good = identity.signature(MODULE)
    position = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:position] + bytes((good[position] ^ data.draw(st.integers(1, 255)),)) + good[position + 1 :]
    try:
        said = decode(damaged)
    except Malformed:
        return
    assert said != decode(good)


def test_every_cut_is_noticed(identity):
    good = identity.signature(MODULE)
    for length in range(len(good)):
        with pytest.raises(Malformed):
            decode(good[:length])
    with pytest.raises(Malformed, match="too many"):
        decode(good + b"\0")


@given(st.binary(max_size=70_000))
def test_der_lengths_come_back(content):
    reader = der.Reader(der.encode(der.OCTET_STRING, content))
    assert reader.content(der.OCTET_STRING) == content
    reader.end()


def test_signatures_with_attributes_are_refused():
    plain = encode(ModuleSignature(SignerId(b"\x30\x00", b"\x01"), "sha256", b"s" * 256))
    assert decode(plain).signature == b"s" * 256
    with pytest.raises(Malformed, match="unknown hash"):
        decode(plain.replace(bytes.fromhex("608648016503040201"), bytes.fromhex("608648016503040209")))
