"""`pkgtool verify` and `pkgtool pull` by a policy, on a real registry: what is accepted, and how each refusal reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pkgtool import http
from pkgtool.oci.documents import EMPTY, Descriptor, Index
from pkgtool.oci.registry.repository import Registry, RegistryRepository
from pkgtool.signing import publish
from pkgtool.signing.attestor import KeyAttestor
from pkgtool.signing.dsse import IN_TOTO, Envelope, pae
from pkgtool.signing.formats import bundle
from pkgtool.signing.keys import open_signer
from pkgtool.signing.log.timestamp import request_timestamp
from pkgtool.signing.statements.statement import SIGN, Statement, Subject
from pkgtool.values import Digest
from tests.integration.signing.conftest import Cosign
from tests.support.command_line import CommandLine
from tests.support.published import PASSPHRASE, Published
from tests.support.sigstore_standin import Standin
from tests.support.sigstore_standin.certificates import der

pytestmark = pytest.mark.xdist_group("signing policy")
IDENTITY = "ci@pkgtool.example"
VSA = "https://slsa.dev/verification_summary/v1"


def test_people_and_programs_read_the_same_decision(released: Published) -> None:
    pkgtool, here = released.shop.pkgtool, ("--registry", released.registry)
    shown = pkgtool("verify", *here).ok()
    app, base = (released.reference(name) for name in ("app", "base"))
    assert shown.out.splitlines() == [f"accepted  {each}, SLSA Build L1" for each in (app, base)]
    document = pkgtool("verify", "--json", *here, "app").ok().json
    assert document["accepted"] is True
    assert document["policyDigest"] == str(Digest.of((released.shop.tree.root / "policy.yml").read_bytes()))
    (decision,) = document["decisions"]
    assert (decision["reference"], decision["slsaBuildLevel"]) == (app, 1)
    asked = [(check["digest"], check["what"]) for check in decision["checks"]]
    index, *manifests = released.digests("app")
    every = [
        (each, what)
        for each in (index, *manifests)
        for what in ("signature", "slsaprovenance1", "spdxjson", "cyclonedx")
    ]
    assert sorted(asked) == sorted([*every, *((each, "platforms") for each in manifests)])
    assert all(check["passed"] for check in decision["checks"])


def test_any_reference_without_a_tree(released: Published, tmp_path: Path) -> None:
    policy = released.shop.tree.root / "policy.yml"
    verify = ("-C", str(tmp_path), "verify", "--policy", str(policy))
    index, manifest, _ = released.references("app")
    for reference in (released.reference("app"), index, manifest):
        released.shop.pkgtool(*verify, reference).ok()
    absent = released.shop.pkgtool(*verify, f"{released.repository('app')}:absent")
    assert (absent.code, "does not exist" in absent.err) == (11, True)
    unknown = released.shop.pkgtool(*verify[:-1], str(tmp_path / "none.yml"), index)
    assert (unknown.code, "the policy can't be read" in unknown.err) == (3, True)


# -- refusals -------------------------------------------------------------------------------------------


@pytest.fixture
def place(released: Published, request: pytest.FixtureRequest) -> Published:
    """A place of the test's own on the same registry."""
    name = f"t{abs(hash(request.node.nodeid))}"
    return Published(released.shop, released.registry.replace("team", name), released.crane)


def as_it_was_pushed(place: Published, repository: RegistryRepository) -> str:
    place.push("app")
    return "there is no signature"


def signed_by_a_stranger(place: Published, repository: RegistryRepository) -> str:
    place.push("--sign", *place.shop.by("other"), "app")
    return "is not by a trusted key"


def only_with_statements(place: Published, repository: RegistryRepository) -> str:
    place.push("app")
    ours = attestor(place)
    for subject in publish.targets(repository, tag_of(place)):
        about = (Subject.of(subject.digest, "linuxkit/app"),)
        publish.attest(repository, subject, Statement(about, "https://spdx.dev/Document", {"a": 1}), ours)
    return "there is no signature; there is a spdxjson, which is no signature"


def with_a_signature_of_something_else(place: Published, repository: RegistryRepository) -> str:
    place.push("app")
    index = publish.targets(repository, tag_of(place))[0]
    about = (Subject.of(Digest.of(b"another image"), "linuxkit/app"),)
    attach(repository, index, attestor(place).attest(Statement(about, SIGN).encode()))
    return "is about another artifact, sha256:"


def without_a_platform(place: Published, repository: RegistryRepository) -> str:
    place.push("--sign", *place.shop.by())
    whole = repository.get_manifest(tag_of(place))
    assert whole
    less = Index(Index.parse(whole[1], what="it").manifests[:1])
    repository.put_manifest(less.encode(), less.media_type, tag=tag_of(place))
    return "the platform linux/arm64 is missing from the index (it has linux/amd64)"


def tag_of(place: Published) -> str:
    return place.reference("app").rpartition(":")[2]


def attestor(place: Published) -> KeyAttestor:
    return KeyAttestor(open_signer(place.shop.by()[1], lambda _what: PASSPHRASE.encode()))


@pytest.mark.parametrize(
    "attack",
    [
        as_it_was_pushed,
        signed_by_a_stranger,
        only_with_statements,
        with_a_signature_of_something_else,
        without_a_platform,
    ],
)
def test_each_refusal_has_its_message_and_all_have_one_exit_code(
    place: Published, attack: Callable[[Published, RegistryRepository], str], tmp_path: Path
) -> None:
    host, _, path = place.repository("app").partition("/")
    with Registry(host) as registry:
        words = attack(place, registry.repository(path))
    done = place.shop.pkgtool("verify", "--registry", place.registry, "app")
    assert done.code == 11
    assert done.out == f"REFUSED   {place.reference('app')}\n"
    assert words in done.err
    # Such an image is not taken instead of being built.
    puller = CommandLine(place.shop.tree.root, tmp_path / "store")
    pulled = puller("pull", "--registry", place.registry, "--platform", "linux/amd64", "app")
    assert pulled.code == 11
    assert "is refused" in pulled.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("keys/ours.pub}", "keys/ours.pub, not-after: 2020-01-01}"), "that signer's time ended 2020-01-02"),
        (("keys/ours.pub}", "keys/ours.pub, revoked: always}"), "that signer is revoked"),
        (("keys/ours.pub", "keys/other.pub"), "is not by a trusted key"),
        (("spdxjson", "https://example.org/audit/v1"), "there is no https://example.org/audit/v1 attestation"),
        (("builder/local/v1", "builder/other/v1"), "it is by the builder 'https://pkgtool.dev/builder/local/v1'"),
        (("example.org/tree", "example.org/fork"), "it was built from 'git+https://example.org/tree'"),
        (("clean: true", f"commit: [{'c' * 40}]"), f"not from {'c' * 40}"),
        (("linux/arm64]", "linux/arm64, linux/riscv64]"), "the platform linux/riscv64 is missing"),
        (("{by: [ours]}\n    att", "{by: [ours], max-age: 1d}\n    att"), "nobody trusted vouches for its time"),
        (("*/linuxkit/*", "*/other/*"), "no rule of"),
    ],
)
def test_a_policy_that_asks_for_something_else(released: Published, change: tuple[str, str], words: str) -> None:
    text = (released.shop.tree.root / "policy.yml").read_text()
    assert change[0] in text
    policy = released.shop.tree.root.parent / "policy-that-refuses.yml"
    policy.write_text(text.replace(*change).replace("keys/", "tree/keys/"))
    done = released.shop.pkgtool("verify", "--policy", str(policy), "--registry", released.registry, "app")
    assert done.code == 11
    assert words in done.err


def by_an_identity(policy: Path, place: Published, instance: Standin) -> None:
    """The tree's policy with an identity in place of the key, and signatures alone."""
    policy.write_text(
        f"signers: {{ours: {{identity: {IDENTITY}, issuer: {instance.url}}}}}\n"
        f"trusted-root: {instance.trusted_root}\n"
        "images: [{signatures: {by: [ours]}}]\n"
    )


@pytest.mark.parametrize(
    ("stamped", "words"),
    [
        (False, "comes without a proven time, so its certificate may have expired before it"),
        (True, "the certificate was valid from "),
    ],
    ids=["nobody saw it", "seen after its time"],
)
def test_an_expired_certificate(
    place: Published, instance: Standin, cosign: Cosign, tmp_path: Path, stamped: bool, words: str
) -> None:
    """Whoever gets hold of the key of a certificate after its ten minutes signs nothing with it any more."""
    place.push("app")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = instance.fulcio.certify(IDENTITY, key.public_key(), ago=timedelta(hours=1))
    host, _, path = place.repository("app").partition("/")
    with Registry(host) as registry, http.client() as client:
        repository = registry.repository(path)
        for subject in publish.targets(repository, tag_of(place)):
            statement = Statement((Subject.of(subject.digest, "linuxkit/app"),), SIGN).encode()
            signature = key.sign(pae(IN_TOTO, statement), ec.ECDSA(hashes.SHA256()))
            stamps = (request_timestamp(client, f"{instance.url}/api/v1/timestamp", signature),) if stamped else ()
            made = bundle.Bundle(Envelope(statement, signature), "", der(certificate), (), stamps)
            attach(repository, subject, made)
    by_an_identity(tmp_path / "policy.yml", place, instance)
    done = place.shop.pkgtool("verify", "--policy", str(tmp_path / "policy.yml"), "--registry", place.registry, "app")
    assert done.code == 11
    assert done.out.startswith("REFUSED")
    assert words in done.err
    who = ("--certificate-identity", IDENTITY, "--certificate-oidc-issuer", instance.url)
    root = ("--trusted-root", str(instance.trusted_root), "--insecure-ignore-tlog", "--use-signed-timestamps")
    cosign("verify", *who, *root, place.reference("app"), fails=True)


def attach(repository: RegistryRepository, subject: Descriptor, made: bundle.Bundle) -> None:
    """A bundle with a signature, as anybody who may write to the repository can leave it there."""
    repository.write_blob(b"{}", EMPTY)
    layer = repository.write_blob(made.encode(), bundle.MEDIA_TYPE)
    repository.attach(bundle.manifest(layer, subject, bundle.referrer_annotations(SIGN, "2026-01-01T00:00:00Z")))


def test_dependencies_are_verified_too(place: Published, tmp_path: Path) -> None:
    """`app` is signed with all that belongs to it; `base`, which it is FROM, by nobody."""
    place.push("base")
    place.push("--sign", *place.shop.by(), "app")
    done = place.shop.pkgtool("verify", "--registry", place.registry, "app")
    assert done.code == 11
    assert "it was built from linuxkit/base:" in done.err
    assert "which is refused: there is no signature" in done.err
    puller = CommandLine(place.shop.tree.root, tmp_path / "store")
    pull = ("pull", "--registry", place.registry, "--platform", "linux/amd64", "app")
    assert puller(*pull).code == 11
    assert puller("store", "ls", "--json").ok().json == []
    place.shop.pkgtool("sign", *place.shop.by(), "--registry", place.registry, "base").ok()
    place.shop.pkgtool("verify", "--registry", place.registry, "app").ok()
    puller(*pull).ok()


def test_a_signed_summary_is_left_beside_what_was_verified(place: Published, cosign: Cosign) -> None:
    place.push("--sign", *place.shop.by())
    place.shop.pkgtool("verify", "--summary", *place.shop.by("other"), "--registry", place.registry, "app").ok()
    key = ("--key", str(place.shop.public("other")), "--insecure-ignore-tlog")
    output = cosign("verify-attestation", *key, "--type", VSA, place.reference("app")).stdout
    import base64

    said = json.loads(base64.b64decode(json.loads(output.splitlines()[0])["payload"]))["predicate"]
    assert (said["verificationResult"], said["verifiedLevels"]) == ("PASSED", ["SLSA_BUILD_LEVEL_1"])
    assert said["policy"]["uri"] == "policy.yml"
    assert said["policy"]["digest"] == {"sha256": Digest.of((place.shop.tree.root / "policy.yml").read_bytes()).hex}
    assert said["resourceUri"] == f"{place.repository('app')}@{place.digests('app')[0]}"
    assert len(said["inputAttestations"]) >= 12
    # Whoever trusts that verifier needs nothing else.
    policy = place.shop.tree.root.parent / "summary.yml"
    policy.write_text(
        "signers: {verifier: {key: tree/keys/other.pub}, ours: {key: tree/keys/ours.pub}}\n"
        "images: [{signatures: {by: [ours]}, attestations: [{type: vsa, by: [verifier], on: index}]}]\n"
    )
    place.shop.pkgtool("verify", "--policy", str(policy), "--registry", place.registry, "app").ok()
    refused = place.shop.pkgtool("verify", "--policy", str(policy), "--registry", place.registry, "base")
    assert (refused.code, "there is no vsa attestation" in refused.err) == (11, True)
