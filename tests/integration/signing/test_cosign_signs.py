"""What cosign signs, we verify; its keys are ours and ours are its."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkgtool.errors import SigningError
from pkgtool.oci.documents import EMPTY
from pkgtool.oci.registry.repository import RegistryRepository
from pkgtool.signing import publish, verify
from pkgtool.signing.attestor import KeyAttestor
from pkgtool.signing.certificates import Identity
from pkgtool.signing.formats import bundle
from pkgtool.signing.keys import generate, open_public_key, open_signer
from pkgtool.signing.public_key import Algorithm
from pkgtool.signing.statements.statement import PROVENANCE, SIGN, SPDX
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.signing.verify import Format, Trust
from tests.integration.signing.conftest import PASSWORD, Cosign
from tests.support.signing import attestor, push_image, signer, statement
from tests.support.sigstore_standin import Standin

WHO = "ci@pkgtool.example"
PREDICATE = {"buildDefinition": {"buildType": "https://example.org/t"}, "runDetails": {"builder": {"id": "x"}}}
WITHOUT_LOG = ("--tlog-upload=false", "--use-signing-config=false", "--yes")


def ask(_what: str) -> bytes:
    return PASSWORD.encode()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_cosign_reads_our_key_files(cosign: Cosign, algorithm: Algorithm) -> None:
    pair = generate.generate(PASSWORD.encode(), algorithm)
    generate.write(pair, Path("ours.key"), Path("ours.pub"))
    assert cosign("public-key", "--key", "ours.key").stdout.strip() == pair.public.pem.strip()


def test_we_read_cosigns_key_files(cosign: Cosign) -> None:
    cosign("generate-key-pair")
    opened = open_signer("cosign.key", ask)
    assert opened.public_key == open_public_key("cosign.pub")
    with pytest.raises(SigningError, match=r"passphrase of the key cosign\.key is wrong"):
        open_signer("cosign.key", lambda _what: b"wrong")


def test_we_sign_with_cosigns_key_and_cosign_with_ours(repository: RegistryRepository, cosign: Cosign) -> None:
    cosign("generate-key-pair")
    generate.write(generate.generate(PASSWORD.encode()), Path("ours.key"), Path("ours.pub"))
    index = push_image(repository, "v1")
    publish.sign(repository, index, KeyAttestor(open_signer("cosign.key", ask)))
    cosign("sign", "--key", "ours.key", *WITHOUT_LOG, f"{repository.name}:v1")
    for key in ("cosign.pub", "ours.pub"):
        cosign("verify", "--key", key, "--insecure-ignore-tlog", f"{repository.name}:v1")
        found = verify.image(repository, index.digest, Trust((open_public_key(key),)))
        assert found.evidence
        assert {each.predicate_type for each in found.evidence} == {SIGN}


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("algorithm", [Algorithm.ECDSA_P256, Algorithm.ECDSA_P384, Algorithm.ECDSA_P521, Algorithm.RSA])
def test_we_verify_what_cosign_signed_and_attested(
    repository: RegistryRepository, cosign: Cosign, algorithm: Algorithm, new_format: bool
) -> None:
    pair = generate.generate(PASSWORD.encode(), algorithm)
    generate.write(pair, Path("ours.key"), Path("ours.pub"))
    Path("predicate.json").write_text(json.dumps(PREDICATE))
    push_image(repository, "v1")
    options = ("--key", "ours.key", *WITHOUT_LOG, f"--new-bundle-format={str(new_format).lower()}")
    cosign("sign", *options, "-a", "stage=test", "--recursive", f"{repository.name}:v1")
    attest = ("attest", *options, "--type", "slsaprovenance1", "--predicate", "predicate.json")
    cosign(*attest, f"{repository.name}:v1")
    index, *manifests = publish.targets(repository, "v1")
    found = verify.image(repository, index.digest, Trust((pair.public,)))
    assert found.refusals == ()
    assert sorted(each.predicate_type for each in found.evidence) == sorted([SIGN, PROVENANCE])
    by_type = {each.predicate_type: each for each in found.evidence}
    assert by_type[SIGN].annotations == {"stage": "test"}
    assert by_type[PROVENANCE].predicate == PREDICATE
    assert {each.format for each in found.evidence} == {Format.BUNDLE if new_format else Format.CLASSIC}
    for manifest in manifests:
        assert len(verify.image(repository, manifest.digest, Trust((pair.public,))).evidence) == 1
    assert not verify.image(repository, index.digest, Trust((signer("other").public_key,))).evidence


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("keyless", [True, False])
def test_we_verify_what_cosign_logged(
    repository: RegistryRepository, cosign: Cosign, instance: Standin, version: int, keyless: bool
) -> None:
    pair = generate.generate(PASSWORD.encode())
    generate.write(pair, Path("ours.key"), Path("ours.pub"))
    index = push_image(repository, "v1")
    who = ("--identity-token", instance.token(WHO)) if keyless else ("--key", "ours.key")
    where = ("--signing-config", str(instance.signing_config(version)), "--trusted-root", str(instance.trusted_root))
    cosign("sign", *who, *where, "--yes", f"{repository.name}:v1")
    check_logged(repository, index.digest, pair, instance, keyless=keyless)


@pytest.mark.parametrize("keyless", [True, False])
def test_we_verify_what_cosign_logged_in_its_older_format(
    repository: RegistryRepository, cosign: Cosign, instance: Standin, keyless: bool
) -> None:
    pair = generate.generate(PASSWORD.encode())
    generate.write(pair, Path("ours.key"), Path("ours.pub"))
    Path("predicate.json").write_text(json.dumps(PREDICATE))
    index = push_image(repository, "v1")
    who = ("--identity-token", instance.token(WHO)) if keyless else ("--key", "ours.key")
    services = ("--fulcio-url", "--rekor-url", "--oidc-issuer")
    where = [option for name in services for option in (name, instance.url)]
    options = (*who, *where, "--trusted-root", str(instance.trusted_root), "--use-signing-config=false", "--yes")
    cosign("sign", *options, "--new-bundle-format=false", f"{repository.name}:v1")
    attest = ("--type", "slsaprovenance1", "--predicate", "predicate.json", "--new-bundle-format=false")
    cosign("attest", *options, *attest, f"{repository.name}:v1")
    assert len(check_logged(repository, index.digest, pair, instance, keyless=keyless)) == 2


def check_logged(repository, digest, pair, instance, *, keyless: bool):
    trust = Trust((pair.public,), TrustedRoot.load(instance.trusted_root))
    found = verify.image(repository, digest, trust)
    assert found.refusals == ()
    for piece in found.evidence:
        assert piece.logged
        if keyless:
            assert isinstance(piece.signer, Identity)
            assert (piece.signer.subject, piece.signer.issuer) == (WHO, instance.url)
        else:
            assert piece.signer == pair.public
    assert found.evidence
    return found.evidence


def test_cosign_takes_an_sbom_for_a_signature_and_we_do_not(repository: RegistryRepository, cosign: Cosign) -> None:
    """The reason why our verifier looks at the predicate type."""
    index = push_image(repository, "v1")
    publish.attest(repository, index, statement(index, SPDX), attestor(), formats=[Format.BUNDLE])
    Path("ours.pub").write_text(signer().public_key.pem)
    cosign("verify", "--key", "ours.pub", "--insecure-ignore-tlog", f"{repository.name}:v1")
    found = verify.image(repository, index.digest, Trust((signer().public_key,)), predicate_types=[SIGN])
    assert found.evidence == ()


def test_a_strangers_bundle_hides_our_classic_signature_from_cosign_and_not_from_us(
    repository: RegistryRepository, cosign: Cosign
) -> None:
    """The reason why we always write both formats."""
    index = push_image(repository, "v1")
    publish.sign(repository, index, attestor(), formats=[Format.CLASSIC])
    publish.sign(repository, index, attestor("stranger"), formats=[Format.BUNDLE])
    Path("ours.pub").write_text(signer().public_key.pem)
    verifying = ("verify", "--key", "ours.pub", "--insecure-ignore-tlog", f"{repository.name}:v1")
    cosign(*verifying, fails=True)
    assert verify.image(repository, index.digest, Trust((signer().public_key,))).evidence
    publish.sign(repository, index, attestor())
    cosign(*verifying)


def test_junk_beside_our_bundle_hides_it_from_nobody(repository: RegistryRepository, cosign: Cosign) -> None:
    index = push_image(repository, "v1")
    publish.sign(repository, index, attestor())
    repository.write_blob(b"{}", EMPTY)
    for junk in (b"{}", b"no JSON", b"[" * 10_000):
        layer = repository.write_blob(junk, bundle.MEDIA_TYPE)
        repository.attach(bundle.manifest(layer, index, bundle.referrer_annotations(SIGN, "2026-11-01T00:00:00Z")))
    Path("ours.pub").write_text(signer().public_key.pem)
    cosign("verify", "--key", "ours.pub", "--insecure-ignore-tlog", f"{repository.name}:v1")
    found = verify.image(repository, index.digest, Trust((signer().public_key,)))
    assert len(found.evidence) == 2
    assert len(found.refusals) == 3
