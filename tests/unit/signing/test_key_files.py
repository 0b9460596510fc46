"""Keys by URI: files and variables, the passphrases for them, new key pairs, and programs that sign."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pkgtool.errors import SigningError
from pkgtool.signing.keys import cosign_key, generate, open_public_key, open_signer, secret_source
from pkgtool.signing.keys.command import CommandSigner
from pkgtool.signing.keys.passphrase import KEY_VARIABLES, new_secret
from pkgtool.signing.keys.pkcs11_uri import Pkcs11Uri
from pkgtool.signing.public_key import Algorithm, PublicKey
from tests.support.signing import new_private_key, signer

SECRET = "correct horse"


@pytest.fixture(autouse=True)
def no_secrets_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEY_VARIABLES, "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)


def ask(_what: str) -> bytes:
    return SECRET.encode()


def never(what: str) -> bytes:
    raise AssertionError(f"asked for the passphrase of {what}")


ENCODINGS = {
    "PKCS#8": (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "encrypted PKCS#8": (Encoding.PEM, PrivateFormat.PKCS8, serialization.BestAvailableEncryption(SECRET.encode())),
    "SEC 1": (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    "OpenSSH": (Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    "encrypted OpenSSH": (Encoding.PEM, PrivateFormat.OpenSSH, serialization.BestAvailableEncryption(SECRET.encode())),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_key_file_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    key = new_private_key()
    (tmp_path / "key").write_bytes(key.private_bytes(*ENCODINGS[encoding]))
    opened = open_signer(str(tmp_path / "key"), ask if encoding.startswith("encrypted") else never)
    assert opened.public_key == PublicKey.of(key.public_key(), what="it")
    assert opened.public_key.verifies(opened.sign(b"m"), b"m")


@pytest.mark.parametrize("encoding", ["encrypted PKCS#8", "encrypted OpenSSH"])
def test_a_wrong_passphrase_has_its_own_error(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "key").write_bytes(new_private_key().private_bytes(*ENCODINGS[encoding]))
    with pytest.raises(SigningError, match=r"passphrase of the key .*/key is wrong"):
        open_signer(str(tmp_path / "key"), lambda _what: b"wrong")


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_generated_pair_is_read_back(tmp_path: Path, algorithm: Algorithm) -> None:
    pair = generate.generate(SECRET.encode(), algorithm)
    generate.write(pair, tmp_path / "k.key", tmp_path / "k.pub")
    opened = open_signer(f"file:{tmp_path}/k.key", ask)
    assert opened.public_key == pair.public == open_public_key(str(tmp_path / "k.pub"))
    assert opened.public_key.algorithm is algorithm
    assert stat.S_IMODE((tmp_path / "k.key").stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    pair = generate.generate(b"")
    generate.write(pair, tmp_path / "k.key", tmp_path / "k.pub")
    for private, public in (("k.key", "new.pub"), ("new.key", "k.pub")):
        with pytest.raises(SigningError, match="exists and is not overwritten"):
            generate.write(pair, tmp_path / private, tmp_path / public)
    assert not (tmp_path / "new.key").exists()


def test_a_cosign_key_with_the_wrong_passphrase(tmp_path: Path) -> None:
    (tmp_path / "k.key").write_bytes(generate.generate(SECRET.encode()).private)
    with pytest.raises(SigningError, match=r"passphrase of the key .* is wrong"):
        open_signer(str(tmp_path / "k.key"), lambda _what: b"wrong")


def test_a_cosign_key_can_not_ask_for_all_memory() -> None:
    content = cosign_key.encrypt(new_private_key(), b"")
    body = b"".join(content.splitlines()[1:-1])
    import base64

    document = json.loads(base64.b64decode(body))
    document["kdf"]["params"]["N"] = 2**30
    label = b"ENCRYPTED SIGSTORE PRIVATE KEY"
    evil = b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (
        label,
        base64.b64encode(json.dumps(document).encode()),
        label,
    )
    with pytest.raises(SigningError, match="unreasonable scrypt parameters"):
        cosign_key.decrypt(evil, b"", what="the key")


@pytest.mark.parametrize("damage", [b"", b"not json", b'{"kdf": 1}', b"[]"])
def test_a_damaged_cosign_key_is_an_error_not_a_traceback(damage: bytes) -> None:
    import base64

    label = b"ENCRYPTED SIGSTORE PRIVATE KEY"
    pem = b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label, base64.b64encode(damage), label)
    with pytest.raises(SigningError):
        cosign_key.decrypt(pem, b"", what="the key")


def test_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_private_key()
    monkeypatch.setenv("MY_KEY", key.private_bytes(*ENCODINGS["PKCS#8"]).decode())
    assert open_signer("env://MY_KEY", never).public_key == PublicKey.of(key.public_key(), what="it")
    assert open_public_key("env://MY_KEY").algorithm is Algorithm.ECDSA_P256
    with pytest.raises(SigningError, match=r"no \$OTHER"):
        open_signer("env://OTHER")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("nowhere.key", "there is no key nowhere.key"),
        ("gopher:key", "unknown scheme"),
        ("ssh-agent:", "SSH_AUTH_SOCK is not set"),
        ("pkcs11:token=t;object=o?pin-value=1234&module-path=/m.so", "has a PIN in it"),
    ],
)
def test_keys_that_can_not_be_opened(uri: str, words: str) -> None:
    with pytest.raises(SigningError, match=words) as caught:
        open_signer(uri)
    assert caught.value.hint


def test_a_public_key_can_not_sign(tmp_path: Path) -> None:
    (tmp_path / "k.pub").write_text(signer().public_key.pem)
    with pytest.raises(SigningError, match="is not a private key") as caught:
        open_signer(str(tmp_path / "k.pub"))
    assert "public key" in caught.value.hint


def test_garbage_in_a_pem_block_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(SigningError, match="not a private key that can be read"):
        open_signer(str(tmp_path / "k"), never)


# -- passphrases ----------------------------------------------------------------------------------------


def test_passphrases_come_from_a_file_then_the_environment_then_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pass").write_text("from file\nsecond line\n")
    assert secret_source(prompt=lambda _question: "typed")("k") == b"typed"
    monkeypatch.setenv("COSIGN_PASSWORD", "cosign's")
    assert secret_source(prompt=lambda _question: "typed")("k") == b"cosign's"
    monkeypatch.setenv("PKGTOOL_KEY_PASSWORD", "")
    assert secret_source()("k") == b""
    assert secret_source(file=tmp_path / "pass")("k") == b"from file"


def test_the_passphrase_of_a_new_key_is_typed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["one", "one", "one", "two"])
    ask = new_secret(prompt=lambda _question: next(typed))
    assert ask("k") == b"one"
    with pytest.raises(SigningError, match="the two passphrases differ"):
        ask("k")
    monkeypatch.setenv("PKGTOOL_KEY_PASSWORD", "set")
    assert new_secret(prompt=lambda _question: next(typed))("k") == b"set"


def test_without_anybody_to_ask_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SigningError, match="no terminal to ask at") as caught:
        secret_source()("the key")
    assert "PKGTOOL_KEY_PASSWORD" in caught.value.hint


def test_a_missing_passphrase_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match=r"passphrase file .*absent can't be read"):
        secret_source(file=tmp_path / "absent")("k")


# -- PKCS#11 URIs ---------------------------------------------------------------------------------------


def test_a_pkcs11_uri_is_taken_apart() -> None:
    uri = Pkcs11Uri.parse("pkcs11:token=the%20token;object=key;id=%01%ff?module-path=/m.so&pin-source=file:/run/pin")
    assert uri == Pkcs11Uri("/m.so", "the token", "", "key", b"\x01\xff", Path("/run/pin"))


@pytest.mark.parametrize("uri", ["pkcs11:token=a;token=b?module-path=/m.so", "pkcs11:nonsense?module-path=/m.so"])
def test_a_malformed_pkcs11_uri(uri: str) -> None:
    with pytest.raises(SigningError, match="RFC 7512"):
        Pkcs11Uri.parse(uri)


def test_the_module_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKGTOOL_PKCS11_MODULE", raising=False)
    with pytest.raises(SigningError, match="which module"):
        Pkcs11Uri.parse("pkcs11:token=t")
    monkeypatch.setenv("PKGTOOL_PKCS11_MODULE", "/m.so")
    assert Pkcs11Uri.parse("pkcs11:token=t").module == "/m.so"


# -- programs that sign ---------------------------------------------------------------------------------

SIGN_WITH = """
import base64, os, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
key = serialization.load_pem_private_key(open(sys.argv[1], "rb").read(), None)
message = sys.stdin.buffer.read()
kind = sys.argv[2]
if kind == "pss":
    made = key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
elif kind == "sha384":
    made = key.sign(message, ec.ECDSA(hashes.SHA384()))
elif kind == "none":
    made = b""
elif kind == "fail":
    sys.exit("the token is not plugged in")
else:
    made = key.sign(message, ec.ECDSA(hashes.SHA256()))
sys.stdout.buffer.write(base64.encodebytes(made) if kind == "base64" else made)
"""


def command(tmp_path: Path, kind: str, algorithm: Algorithm = Algorithm.ECDSA_P256) -> CommandSigner:
    key = new_private_key(algorithm)
    (tmp_path / "key").write_bytes(key.private_bytes(*ENCODINGS["PKCS#8"]))
    (tmp_path / "sign.py").write_text(SIGN_WITH)
    argv = [sys.executable, str(tmp_path / "sign.py"), str(tmp_path / "key"), kind]
    return CommandSigner(argv, PublicKey.of(key.public_key(), what="it"))


@pytest.mark.parametrize("kind", ["raw", "base64"])
def test_a_program_signs(tmp_path: Path, kind: str) -> None:
    made = command(tmp_path, kind)
    assert made.public_key.verifies(made.sign(b"message"), b"message")


@pytest.mark.parametrize(
    ("kind", "algorithm", "words"),
    [
        ("pss", Algorithm.RSA, "RSA-PSS"),
        ("sha384", Algorithm.ECDSA_P384, "larger hash than SHA-256"),
        ("none", Algorithm.ECDSA_P256, "printed no signature"),
        ("fail", Algorithm.ECDSA_P256, "the signer command failed"),
    ],
)
def test_a_program_that_does_not_sign_as_it_must(tmp_path: Path, kind: str, algorithm: Algorithm, words: str) -> None:
    with pytest.raises(SigningError, match=words):
        command(tmp_path, kind, algorithm).sign(b"message")


def test_a_program_with_another_key_is_found_out(tmp_path: Path) -> None:
    made = command(tmp_path, "raw")
    made.public_key = signer("other").public_key
    with pytest.raises(SigningError, match="its own public key does not accept"):
        made.sign(b"message")


# -- imports --------------------------------------------------------------------------------------------


def test_signing_and_verifying_with_keys_does_not_import_sigstore(tmp_path: Path) -> None:
    program = """
import sys
from tests.support.signing import OpenRepository
from tests.support.signing import push_image
from tests.support.signing import sign_all, signer
from pkgtool.signing import verify
repository = OpenRepository()
push_image(repository, "v1")
for subject in sign_all(repository, "v1"):
    assert len(verify.image(repository, subject.digest, verify.Trust((signer().public_key,))).evidence) == 2
heavy = {"sigstore", "tuf", "pydantic", "securesystemslib", "pkcs11", "boto3", "httpx2", "in_toto"} & set(sys.modules)
assert not heavy, heavy
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
