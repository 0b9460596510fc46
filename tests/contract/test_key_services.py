"""Cloud keys through the services' own client libraries, against stand-ins of the services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pkgtool.errors import SigningError
from pkgtool.signing.keys import open_public_key, open_signer
from pkgtool.signing.public_key import Algorithm, PublicKey
from tests.support.key_services import KeyServices, key_services
from tests.support.signing import new_private_key

KEYS = {
    "alias/release": new_private_key(),
    "rsa": new_private_key(Algorithm.RSA),
    "p384": new_private_key(Algorithm.ECDSA_P384),
    "transit": new_private_key(Algorithm.ED25519),
}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServices]:
    with key_services(KEYS) as (running, url):
        settings = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_MAX_ATTEMPTS": "1",
            "VAULT_ADDR": url,
            "VAULT_TOKEN": "z",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("awskms:alias/release", "alias/release"),
        ("awskms:///alias/release", "alias/release"),
        ("awskms:rsa", "rsa"),
        ("hashivault:transit", "transit"),
        ("hashivault://transit", "transit"),
    ],
)
def test_a_service_signs(services: KeyServices, uri: str, name: str) -> None:
    signer = open_signer(uri)
    assert signer.public_key == PublicKey.of(KEYS[name].public_key(), what="it") == open_public_key(uri)
    assert signer.public_key.verifies(signer.sign(b"message"), b"message")


def test_rsa_is_asked_for_the_padding_that_cosign_takes(services: KeyServices) -> None:
    open_signer("awskms:rsa").sign(b"message")
    assert services.asked[-1]["SigningAlgorithm"] == "RSASSA_PKCS1_V1_5_SHA_256"


def test_a_key_that_hashes_otherwise_is_found_out_before_anything_is_published(services: KeyServices) -> None:
    with pytest.raises(SigningError, match="a larger hash than SHA-256"):
        open_signer("awskms:p384").sign(b"message")


@pytest.mark.parametrize("uri", ["awskms:absent", "hashivault:absent", "hashivault:rsa"])
def test_a_key_that_is_not_there(services: KeyServices, uri: str) -> None:
    with pytest.raises(SigningError, match="can't be used") as caught:
        open_signer(uri)
    assert caught.value.hint


@pytest.mark.parametrize("uri", ["awskms:alias/release", "hashivault:transit"])
def test_a_service_that_refuses(services: KeyServices, uri: str) -> None:
    signer = open_signer(uri)
    services.refuse = True
    with pytest.raises(SigningError, match="can't sign"):
        signer.sign(b"message")
    with pytest.raises(SigningError, match="can't be used"):
        open_signer(uri)


def test_a_vault_without_a_key_is_a_mistake_in_the_uri() -> None:
    with pytest.raises(SigningError, match="does not name a vault and a key"):
        open_signer("azurekms:only-a-vault")


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import securesystemslib.signer._aws_signer as library

    monkeypatch.setattr(library, "AWS_IMPORT_ERROR", "Signing with AWS KMS requires aws-kms and cryptography.")
    with pytest.raises(SigningError, match="needs a library that is not installed") as caught:
        open_signer("awskms:x")
    assert caught.value.hint == "pip install 'securesystemslib[awskms,azurekms,gcpkms,vault]'"
