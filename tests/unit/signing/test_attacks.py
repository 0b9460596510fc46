"""Everything somebody with write access to a registry could try. Each ends in a refusal that says why."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from pkgtool.oci.documents import EMPTY, Descriptor, Index, Manifest, encode
from pkgtool.policy.decision import Decision, Reason
from pkgtool.policy.provenance import Expected
from pkgtool.policy.reader import read_policy
from pkgtool.policy.verify import Request, Verifier
from pkgtool.signing import publish
from pkgtool.signing.dsse import IN_TOTO, Envelope, pae
from pkgtool.signing.formats import bundle, classic
from pkgtool.signing.formats.bundle import Bundle
from pkgtool.signing.public_key import Algorithm, PublicKey
from pkgtool.signing.statements.facts import BuildFacts, Source
from pkgtool.signing.statements.provenance import index_provenance
from pkgtool.signing.statements.statement import CYCLONEDX, SIGN, SPDX, Statement, Subject
from pkgtool.values import Digest, Platform
from tests.support.registry.images import AMD64
from tests.support.signing import (
    NOW,
    OpenRepository,
    attestor,
    new_private_key,
    push_image,
    sign_all,
    signer,
    statement,
)

POLICY = """
signers:
  ours: {key: ours.pub}
images:
  - signatures: {by: [ours]}
"""


@pytest.fixture
def repository() -> OpenRepository:
    repository = OpenRepository()
    push_image(repository, "v1")
    return repository


@pytest.fixture
def decide(tmp_path: Path, repository: OpenRepository) -> Callable[..., Decision]:
    def decide(
        text: str = POLICY, reference: str | Digest = "v1", *, key: PublicKey | None = None, **expected
    ) -> Decision:
        (tmp_path / "ours.pub").write_text((key or signer().public_key).pem)
        (tmp_path / "second.pub").write_text(signer("second").public_key.pem)
        (tmp_path / "policy.yml").write_text(text)
        verifier = Verifier(read_policy(tmp_path / "policy.yml"), now=NOW)
        return verifier.verify(Request(repository, reference, Expected(**expected)))

    return decide


def attach(repository: OpenRepository, subject: Descriptor, content: bytes, kind: str = SIGN) -> None:
    """Put a bundle beside an image, as anybody may who can write."""
    repository.write_blob(b"{}", EMPTY)
    layer = repository.write_blob(content, bundle.MEDIA_TYPE)
    repository.attach(bundle.manifest(layer, subject, bundle.referrer_annotations(kind, "2026-11-01T00:00:00Z")))


def signed(payload: bytes, name: str = "ours", payload_type: str = IN_TOTO) -> bytes:
    key = signer(name)
    envelope = Envelope(payload, key.sign(pae(payload_type, payload)), payload_type)
    return Bundle(envelope, key.public_key.hint).encode()


def index_of(repository: OpenRepository) -> Descriptor:
    return publish.targets(repository, "v1")[0]


def refused(decision: Decision, reason: Reason, words: str) -> None:
    assert not decision.accepted
    index_checks = [check for check in decision.failures if check.digest == decision.digest]
    assert index_checks
    assert [check.reason for check in index_checks] == [reason] * len(index_checks), decision.lines()
    assert words in "\n".join(decision.lines())


def test_an_honest_image_is_accepted(repository, decide) -> None:
    sign_all(repository, "v1")
    decision = decide()
    assert decision.accepted
    assert len(decision.checks) == 3


def test_no_signature(decide) -> None:
    refused(decide(), Reason.UNSIGNED, "there is no signature")


def test_a_strangers_signature(repository, decide) -> None:
    sign_all(repository, "v1", "stranger")
    refused(decide(), Reason.REFUSED, "not by a trusted key")


def test_a_signature_of_another_image(repository, decide) -> None:
    other = OpenRepository()
    push_image(other, "v1", "evil")
    theirs = sign_all(other, "v1")
    repository.blobs |= other.blobs
    for mine, their in zip(publish.targets(repository, "v1"), theirs, strict=True):
        (referrer,) = other.referrers(their.digest)
        layer = Manifest.parse(other.get_manifest(referrer.digest)[1], what="it").layers[0]
        attach(repository, mine, repository.blobs[layer.digest])
        content = other.get_manifest(classic.signature_tag(their.digest))[1]
        repository.put_manifest(
            content, "application/vnd.oci.image.manifest.v1+json", tag=classic.signature_tag(mine.digest)
        )
    decision = decide()
    refused(decision, Reason.REFUSED, "is about another artifact")
    assert any("is for another image" in line for line in decision.lines())


def test_a_replayed_old_tag(repository, decide) -> None:
    """The old image under the new tag is properly signed; its provenance says which tag it was built for."""
    policy = POLICY + "    attestations: [{type: slsaprovenance1, on: index}]\n"
    index = index_of(repository)
    sign_all(repository, "v1")
    source = Source("https://example.org/tree", "c" * 40)
    facts = BuildFacts(
        "linuxkit/getty", "old", AMD64, Digest.of(b""), source, "1", "buildah", "1", hermetic=True, source_date_epoch=1
    )
    publish.attest(repository, index, index_provenance(facts, {AMD64: index.digest}, index.digest), attestor())
    assert decide(policy, tag="old").accepted
    refused(decide(policy, tag="new"), Reason.CONTENT, "it is of the tag 'old', not of 'new'")


def test_another_package_in_its_place(repository, decide) -> None:
    policy = POLICY + "    attestations: [{type: slsaprovenance1, on: index}]\n"
    index = index_of(repository)
    sign_all(repository, "v1")
    source = Source("https://example.org/tree", "c" * 40)
    facts = BuildFacts(
        "linuxkit/sshd", "v1", AMD64, Digest.of(b""), source, "1", "buildah", "1", hermetic=True, source_date_epoch=1
    )
    publish.attest(repository, index, index_provenance(facts, {AMD64: index.digest}, index.digest), attestor())
    refused(decide(policy), Reason.CONTENT, "it is of the package 'linuxkit/sshd'")


@pytest.mark.parametrize("kind", [SPDX, CYCLONEDX])
def test_an_sbom_in_place_of_a_signature(repository, decide, kind: str) -> None:
    for subject in publish.targets(repository, "v1"):
        made = statement(subject, kind)
        publish.attest(repository, subject, made, attestor())
        # The referrer says that it is a signature; what it holds is signed, but it is none.
        attach(repository, subject, signed(made.encode()), SIGN)
    refused(decide(), Reason.WRONG_TYPE, "there is no signature; there is a")


def test_a_strangers_bundle_beside_ours(repository, decide) -> None:
    sign_all(repository, "v1")
    sign_all(repository, "v1", "stranger")
    for subject in publish.targets(repository, "v1"):
        attach(repository, subject, b"{}")
        attach(repository, subject, b"not even JSON")
    assert decide().accepted


def test_a_classic_signature_alone_beside_a_strangers_bundle(repository, decide) -> None:
    """cosign would not look at the classic one any more; ours is still there and still true."""
    for subject in publish.targets(repository, "v1"):
        publish.sign(repository, subject, attestor(), formats=[verify_format("classic")])
        publish.sign(repository, subject, attestor("stranger"), formats=[verify_format("bundle")])
    assert decide().accepted


def verify_format(name: str):
    from pkgtool.signing.verify import Format

    return Format(name)


def test_an_altered_payload(repository, decide) -> None:
    for subject in publish.targets(repository, "v1"):
        made = json.loads(signed(Statement((Subject.of(Digest.of(b"x"), "x"),), SIGN).encode()))
        honest = Statement((Subject.of(subject.digest, "x"),), SIGN).encode()
        made["dsseEnvelope"]["payload"] = base64.b64encode(honest).decode()
        attach(repository, subject, json.dumps(made).encode())
    refused(decide(), Reason.REFUSED, "is not that key's signature over this content")


def test_an_altered_classic_payload(repository, decide) -> None:
    subject = index_of(repository)
    wrong = classic.SimpleSigning(str(Digest.of(b"x")), repository.name, {}).encode()
    right = classic.SimpleSigning(str(subject.digest), repository.name, {}).encode()
    put_classic(repository, subject, right, signer().sign(wrong))
    refused(decide(), Reason.REFUSED, "not by a trusted key")


def put_classic(repository: OpenRepository, subject: Descriptor, payload: bytes, signature: bytes) -> None:
    blob = repository.write_blob(payload, classic.SIGNATURE_LAYER)
    annotations = {classic.SIGNATURE: base64.b64encode(signature).decode()}
    manifest, config = classic.manifest([replace(blob, annotations=annotations)])
    repository.write_blob(config, "config")
    repository.put_manifest(manifest.encode(), manifest.media_type, tag=classic.signature_tag(subject.digest))


def test_altered_annotations(repository, decide) -> None:
    """An annotation counts only if it is signed; the referrer's own annotations are anybody's."""
    policy = POLICY.replace("{by: [ours]}", "{by: [ours], annotations: {stage: production}}")
    sign_all(repository, "v1", annotations={"stage": "test"})
    for subject in publish.targets(repository, "v1"):
        for referrer in repository.referrers(subject.digest):
            manifest = Manifest.parse(repository.get_manifest(referrer.digest)[1], what="it")
            del repository.manifests[referrer.digest]
            repository.attach(replace(manifest, annotations={**manifest.annotations, "stage": "production"}))
    refused(decide(policy), Reason.ANNOTATIONS, "does not sign the annotation stage=production")


def test_a_second_layer(repository, decide) -> None:
    sign_all(repository, "v1")
    for subject in publish.targets(repository, "v1"):
        del repository.pointers[classic.signature_tag(subject.digest)]
        for referrer in repository.referrers(subject.digest):
            manifest = Manifest.parse(repository.get_manifest(referrer.digest)[1], what="it")
            del repository.manifests[referrer.digest]
            repository.attach(replace(manifest, layers=(*manifest.layers, manifest.layers[0])))
    refused(decide(), Reason.REFUSED, "has 2 layers where one is expected")


def test_an_unknown_hash_algorithm_in_the_subject(repository, decide) -> None:
    subject = index_of(repository)
    made = Statement((Subject({"md5": "0" * 32}, "x"),), SIGN).encode()
    attach(repository, subject, signed(made))
    refused(decide(), Reason.REFUSED, "unknown hash algorithm 'md5'")


def test_a_subject_with_two_digests(repository, decide) -> None:
    subject = index_of(repository)
    both = {"sha256": subject.digest.hex, "sha512": "0" * 128}
    attach(repository, subject, signed(Statement((Subject(both, "x"),), SIGN).encode()))
    refused(decide(), Reason.REFUSED, "by several digests or none (sha256, sha512)")


def test_two_subjects(repository, decide) -> None:
    subject = index_of(repository)
    subjects = (Subject.of(Digest.of(b"x"), "x"), Subject.of(subject.digest, "y"))
    attach(repository, subject, signed(Statement(subjects, SIGN).encode()))
    refused(decide(), Reason.REFUSED, "is about 2 artifacts")


def test_unknown_fields_in_the_statement(repository, decide) -> None:
    subject = index_of(repository)
    made = json.loads(Statement((Subject.of(subject.digest, "x"),), SIGN).encode())
    attach(repository, subject, signed(json.dumps({**made, "unless": "it is Monday"}).encode()))
    refused(decide(), Reason.REFUSED, "unknown fields: unless")


def test_another_payload_type(repository, decide) -> None:
    subject = index_of(repository)
    made = Statement((Subject.of(subject.digest, "x"),), SIGN).encode()
    attach(repository, subject, signed(made, payload_type="text/plain"))
    refused(decide(), Reason.REFUSED, "holds 'text/plain' and not an in-toto statement")


def test_an_rsa_pss_signature(repository, decide) -> None:
    key = new_private_key(Algorithm.RSA)
    public = PublicKey.of(key.public_key(), what="it")
    subject = index_of(repository)
    payload = Statement((Subject.of(subject.digest, "x"),), SIGN).encode()
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    envelope = Envelope(payload, key.sign(pae(IN_TOTO, payload), pss, hashes.SHA256()))
    attach(repository, subject, Bundle(envelope, public.hint).encode())
    refused(decide(key=public), Reason.REFUSED, "is an RSA-PSS signature, which is not accepted")


def test_a_revoked_key(repository, decide) -> None:
    sign_all(repository, "v1")
    policy = POLICY.replace("{key: ours.pub}", "{key: ours.pub, revoked: always}")
    refused(decide(policy), Reason.REVOKED, "that signer is revoked")


def test_a_key_whose_time_is_over(repository, decide) -> None:
    sign_all(repository, "v1")
    policy = POLICY.replace("{key: ours.pub}", "{key: ours.pub, not-after: 2026-10-01}")
    refused(decide(policy), Reason.EXPIRED, "time ended 2026-10-02")


def test_a_platform_taken_out_of_the_index(repository, decide) -> None:
    sign_all(repository, "v1")
    _, content = repository.get_manifest("v1")
    index = Index.parse(content, what="it")
    stripped = Index(index.manifests[:1])
    repository.put_manifest(stripped.encode(), stripped.media_type, tag="v1")
    refused(decide(), Reason.INDEX_CHANGED, "platforms were taken out, added or exchanged")
    wanting = POLICY + "    platforms: [linux/amd64, linux/arm64]\n"
    lines = "\n".join(decide(wanting).lines())
    assert "the platform linux/arm64 is missing from the index (it has linux/amd64)" in lines


def test_a_platform_exchanged_against_a_release(repository, decide) -> None:
    sign_all(repository, "v1")
    index = index_of(repository)
    decision = decide(index=index.digest, platforms=(("linux/amd64", Digest.of(b"other")),))
    assert [check.reason for check in decision.failures] == [Reason.OTHER_DIGEST]
    decision = decide(index=Digest.of(b"other"))
    assert [check.reason for check in decision.failures] == [Reason.OTHER_DIGEST]


def test_too_few_signers(repository, decide) -> None:
    policy = POLICY.replace("ours: {key: ours.pub}", "ours: {key: ours.pub}\n  second: {key: second.pub}")
    policy = policy.replace("{by: [ours]}", "{by: [ours, second], count: 2}")
    sign_all(repository, "v1")
    refused(decide(policy), Reason.TOO_FEW, "2 signers must have made the signature, and only ours did (not second)")
    sign_all(repository, "v1", "second")
    assert decide(policy).accepted


def test_an_oversized_bundle(repository, decide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_BUNDLE", 10_000)
    subject = index_of(repository)
    attach(repository, subject, b" " * 10_001)
    refused(decide(), Reason.REFUSED, "more than 10000")
    sign_all(repository, "v1")
    assert decide().accepted


@pytest.mark.parametrize(
    "content", [b'{"a":' * 100_000, b"[" * 100_000, b'{"mediaType": ' + b"[" * 1000 + b"]" * 1000 + b"}"]
)
def test_deeply_nested_json(repository, decide, content: bytes) -> None:
    attach(repository, index_of(repository), content)
    refused(decide(), Reason.REFUSED, "nested more than")


def test_a_deeply_nested_statement_that_is_signed(repository, decide) -> None:
    attach(repository, index_of(repository), signed(b"[" * 100_000))
    refused(decide(), Reason.REFUSED, "nested more than")


def test_duplicate_keys_in_json(repository, decide) -> None:
    subject = index_of(repository)
    digest = encode({"sha256": subject.digest.hex}).decode()
    text = (
        '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"00"}}],'
        f'"subject":[{{"name":"x","digest":{digest}}}],"predicateType":"{SIGN}","predicate":{{}}}}'
    )
    attach(repository, subject, signed(text.encode()))
    refused(decide(), Reason.REFUSED, "a key occurs twice")


def test_two_signatures_in_one_envelope(repository, decide) -> None:
    subject = index_of(repository)
    made = json.loads(signed(Statement((Subject.of(subject.digest, "x"),), SIGN).encode()))
    made["dsseEnvelope"]["signatures"] *= 2
    attach(repository, subject, json.dumps(made).encode())
    refused(decide(), Reason.REFUSED, "has 2 signatures where exactly one is accepted")


def test_a_registry_that_lies_about_digests(repository, decide) -> None:
    from pkgtool.errors import VerificationError

    sign_all(repository, "v1", annotations={"a": "b"})  # without any, a payload is known and not fetched
    index = index_of(repository)
    other = push_image(repository, "other", "evil")
    repository.lies[index.digest] = repository.manifests[other.digest][1]
    with pytest.raises(VerificationError, match="gave other content"):
        decide()
    repository.lies.clear()
    for digest in repository.blobs:
        repository.lies[digest] = b"{}"
    refused(decide(), Reason.REFUSED, "the registry gave other content")


def test_a_referrer_of_something_else_in_the_list(repository, decide) -> None:
    """A registry, or whoever writes the fallback tag, can list what refers to another image."""
    other = push_image(repository, "other", "evil")
    publish.sign(repository, other, attestor(), formats=[verify_format("bundle")])
    index = index_of(repository)
    honest = repository.referrers
    repository.referrers = lambda subject, **options: honest(other.digest if subject == index.digest else subject)
    refused(decide(), Reason.REFUSED, "refers to another manifest")


def test_more_than_anybody_looks_at(repository, decide, monkeypatch: pytest.MonkeyPatch) -> None:
    from pkgtool.errors import VerificationError
    from pkgtool.signing.verify import collect

    monkeypatch.setattr(collect, "MAX_CANDIDATES", 3)
    for count in range(4):
        attach(repository, index_of(repository), f"junk {count}".encode())
    with pytest.raises(VerificationError, match="more than the 3 that are looked at"):
        decide()


def test_an_image_that_no_rule_is_for(repository, decide) -> None:
    sign_all(repository, "v1")
    policy = POLICY.replace("- signatures", "- match: [other.example/*]\n    signatures")
    refused(decide(policy), Reason.NO_RULE, "no rule of")


def test_no_such_image(decide) -> None:
    from pkgtool.errors import ExitCode, VerificationError

    with pytest.raises(VerificationError, match="does not exist") as caught:
        decide(reference="v9")
    assert caught.value.exit_code is ExitCode.VERIFICATION


def test_a_refusal_is_an_error_of_its_own_class(repository, decide) -> None:
    from pkgtool.errors import ExitCode, VerificationError

    with pytest.raises(VerificationError, match=r"v1 is refused: there is no signature \(and 2 more\)") as caught:
        decide().require()
    assert caught.value.exit_code is ExitCode.VERIFICATION
    assert caught.value.details


def test_a_single_manifest_stands_for_itself(repository, decide) -> None:
    manifest = publish.targets(repository, "v1")[1]
    publish.sign(repository, manifest, attestor())
    assert decide(reference=manifest.digest).accepted
    assert not decide().accepted


def test_an_unknown_platform_in_the_index_is_verified_too(repository, decide) -> None:
    """An entry without a platform, or a second one for the same, must not slip through."""
    sign_all(repository, "v1")
    extra = push_image(repository, "other", "evil", platforms=[AMD64])
    manifest = Index.parse(repository.get_manifest(extra.digest)[1], what="it").manifests[0]
    index = Index.parse(repository.get_manifest("v1")[1], what="it")
    for added in (manifest, replace(manifest, platform=None), replace(manifest, platform=Platform("linux", "riscv64"))):
        changed = Index((*index.manifests, added))
        pushed = repository.put_manifest(changed.encode(), changed.media_type, tag="v2")
        publish.sign(repository, pushed, attestor())
        decision = decide(reference="v2")
        assert [check.digest for check in decision.failures] == [manifest.digest]
