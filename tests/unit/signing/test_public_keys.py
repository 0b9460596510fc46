"""Public keys: what is read, what is refused, what is accepted as a signature."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa

from pkgtool.errors import SigningError, VerificationError
from pkgtool.signing.public_key import Algorithm, PublicKey
from tests.support.signing import new_private_key, signer

MESSAGE = b"what is signed"


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_encoding_of_a_key_is_the_same_key(algorithm: Algorithm) -> None:
    public = new_private_key(algorithm).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    ssh = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    keys = {PublicKey.parse(content, what="it") for content in (der, pem, ssh)}
    assert len(keys) == 1
    (key,) = keys
    assert key.algorithm is algorithm
    assert key.pem.encode() == pem


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_signature_is_accepted_only_by_its_key_over_its_message(algorithm: Algorithm) -> None:
    ours, other = signer("ours", algorithm), signer("other", algorithm)
    signature = ours.sign(MESSAGE)
    assert ours.public_key.verifies(signature, MESSAGE)
    assert not ours.public_key.verifies(signature, MESSAGE + b".")
    assert not other.public_key.verifies(signature, MESSAGE)
    assert not ours.public_key.verifies(b"", MESSAGE)


def test_the_hint_is_the_base64_of_the_digest_and_the_fingerprint_its_hexadecimal() -> None:
    key = signer().public_key
    assert base64.b64decode(key.hint).hex() == key.fingerprint


def test_rsa_with_pss_padding_is_no_signature() -> None:
    key = new_private_key(Algorithm.RSA)
    public = PublicKey.of(key.public_key(), what="it")
    signature = key.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    assert not public.verifies(signature, MESSAGE)
    assert public.verifies_pss(signature, MESSAGE)


def test_a_larger_curve_is_read_with_its_own_hash_but_that_is_told_apart() -> None:
    key = new_private_key(Algorithm.ECDSA_P384)
    public = PublicKey.of(key.public_key(), what="it")
    signature = key.sign(MESSAGE, ec.ECDSA(hashes.SHA384()))
    assert not public.verifies(signature, MESSAGE)
    assert public.verifies_curve_hash(signature, MESSAGE)
    assert not public.verifies_curve_hash(key.sign(MESSAGE, ec.ECDSA(hashes.SHA512())), MESSAGE)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dsa.generate_private_key(2048), "DSA key of 2048 bits"),
        (lambda: rsa.generate_private_key(65537, 1024), "RSA key of 1024 bits"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "curve secp256k1"),
    ],
)
def test_other_kinds_of_keys_are_refused_by_name(make, words: str) -> None:
    pem = make().public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(SigningError, match=words) as caught:
        PublicKey.parse(pem, what="the key k.pub")
    assert "ECDSA" in caught.value.hint


def test_a_key_restricted_to_pss_is_refused() -> None:
    # SubjectPublicKeyInfo with id-RSASSA-PSS in place of rsaEncryption: the same key, another algorithm identifier.
    public = new_private_key(Algorithm.RSA).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    plain = bytes.fromhex("300d06092a864886f70d0101010500")
    assert plain in der
    body = bytes.fromhex("300b06092a864886f70d01010a") + der.partition(plain)[2]
    pss = b"\x30\x82" + len(body).to_bytes(2) + body
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(pss) + b"-----END PUBLIC KEY-----\n"
    with pytest.raises(SigningError, match="RSA-PSS"):
        PublicKey.parse(pem, what="the key")


def test_what_is_no_key_is_refused_with_the_callers_error_and_a_hint() -> None:
    with pytest.raises(VerificationError, match="the key x is not a public key"):
        PublicKey.parse(b"nonsense", what="the key x", error=VerificationError)
    private = new_private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(SigningError) as caught:
        PublicKey.parse(private, what="the key x")
    assert "public half" in caught.value.hint
