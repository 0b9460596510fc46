"""What signing writes beside an image, and that it writes it once."""

import base64
import json

import pytest

from pkgtool.errors import SigningError
from pkgtool.oci.documents import Descriptor, Manifest
from pkgtool.signing import publish, verify
from pkgtool.signing.formats import bundle, classic
from pkgtool.signing.statements.statement import PROVENANCE, SIGN, SPDX, Statement, Subject
from pkgtool.signing.verify import Format, Trust
from tests.support.signing import OpenRepository, attestor, push_image, sign_all, signer, statement


@pytest.fixture
def repository() -> OpenRepository:
    repository = OpenRepository()
    push_image(repository, "v1")
    return repository


def test_the_index_and_every_manifest_are_signed_in_both_formats(repository: OpenRepository) -> None:
    subjects = sign_all(repository, "v1")
    assert len(subjects) == 3
    for subject in subjects:
        found = verify.image(repository, subject.digest, Trust((signer().public_key,)))
        assert {piece.format for piece in found.evidence} == set(Format)
        assert {piece.predicate_type for piece in found.evidence} == {SIGN}
        assert not found.refusals


def test_signing_again_with_the_same_key_writes_nothing(repository: OpenRepository) -> None:
    sign_all(repository, "v1")
    before = repository.writes
    for subject in publish.targets(repository, "v1"):
        assert [each.new for each in publish.sign(repository, subject, attestor())] == [False, False]
    assert repository.writes == before


def test_another_key_and_other_annotations_are_added(repository: OpenRepository) -> None:
    sign_all(repository, "v1")
    (index, *_rest) = sign_all(repository, "v1", "second")
    sign_all(repository, "v1", annotations={"stage": "production"})
    trust = Trust((signer().public_key, signer("second").public_key))
    found = verify.image(repository, index.digest, trust).evidence
    assert len(found) == 6
    assert sorted(tuple(each.annotations.items()) for each in found) == [()] * 4 + [(("stage", "production"),)] * 2


def test_a_forged_bundle_with_our_hint_does_not_keep_us_from_signing(repository: OpenRepository) -> None:
    (index, *_rest) = publish.targets(repository, "v1")
    publish.sign(repository, index, attestor("stranger"))
    for digest, content in list(repository.blobs.items()):
        if b"publicKey" in content:
            forged = json.loads(content)
            forged["verificationMaterial"]["publicKey"]["hint"] = signer().public_key.hint
            layer = repository.write_blob(json.dumps(forged).encode(), bundle.MEDIA_TYPE)
            repository.attach(bundle.manifest(layer, index, bundle.referrer_annotations(SIGN, "now")))
            assert digest != layer.digest
    assert all(each.new for each in publish.sign(repository, index, attestor()))


def test_an_attestation_is_signed_once_for_both_formats(repository: OpenRepository) -> None:
    (index, *_rest) = publish.targets(repository, "v1")
    made = statement(index, PROVENANCE)
    assert [each.new for each in publish.attest(repository, index, made, attestor())] == [True, True]
    assert [each.new for each in publish.attest(repository, index, made, attestor())] == [False, False]
    found = verify.image(repository, index.digest, Trust((signer().public_key,))).evidence
    assert [piece.predicate for piece in found] == [made.predicate] * 2
    envelopes = [json.loads(content) for content in repository.blobs.values() if b"payloadType" in content]
    signatures = {json.dumps(each.get("dsseEnvelope", each)["signatures"]) for each in envelopes}
    assert len(signatures) == 1


def test_other_content_of_the_same_type_is_another_attestation(repository: OpenRepository) -> None:
    (index, *_rest) = publish.targets(repository, "v1")
    for value in (1, 2):
        publish.attest(repository, index, statement(index, SPDX, {"value": value}), attestor())
    found = verify.image(repository, index.digest, Trust((signer().public_key,))).evidence
    assert sorted(piece.predicate["value"] for piece in found) == [1, 1, 2, 2]


def test_a_statement_about_something_else_is_not_attached(repository: OpenRepository) -> None:
    index, manifest, _other = publish.targets(repository, "v1")
    with pytest.raises(SigningError, match="about another artifact"):
        publish.attest(repository, index, statement(manifest, SPDX), attestor())


def test_what_does_not_exist_can_not_be_signed(repository: OpenRepository) -> None:
    with pytest.raises(SigningError, match="has no v2 to sign"):
        publish.targets(repository, "v2")


def test_the_classic_layout_is_cosigns(repository: OpenRepository) -> None:
    (index, *_rest) = publish.targets(repository, "v1")
    publish.sign(repository, index, attestor())
    _, content = repository.get_manifest(f"sha256-{index.digest.hex}.sig")
    manifest = Manifest.parse(content, what="it")
    (layer,) = manifest.layers
    assert layer.media_type == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = json.loads(repository.read_blob(layer))
    assert payload == {
        "critical": {
            "identity": {"docker-reference": repository.name},
            "image": {"docker-manifest-digest": str(index.digest)},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    signature = base64.b64decode(layer.annotations["dev.cosignproject.cosign/signature"])
    assert signer().public_key.verifies(signature, repository.read_blob(layer))
    config = json.loads(repository.read_blob(manifest.config))
    assert config["rootfs"]["diff_ids"] == [str(layer.digest)]


def test_the_bundle_is_a_referrer_with_one_layer_and_no_key_id(repository: OpenRepository) -> None:
    (index, *_rest) = publish.targets(repository, "v1")
    publish.sign(repository, index, attestor(), annotations={"a": "b"})
    (referrer,) = repository.referrers(index.digest, artifact_type=bundle.MEDIA_TYPE)
    assert referrer.annotations["dev.sigstore.bundle.content"] == "dsse-envelope"
    assert referrer.annotations["dev.sigstore.bundle.predicateType"] == SIGN
    manifest = Manifest.parse(repository.get_manifest(referrer.digest)[1], what="it")
    assert manifest.config.media_type == "application/vnd.oci.empty.v1+json"
    document = json.loads(repository.read_blob(manifest.layers[0]))
    assert document["verificationMaterial"] == {"publicKey": {"hint": signer().public_key.hint}}
    assert list(document["dsseEnvelope"]["signatures"][0]) == ["sig"]
    claimed = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    assert claimed["subject"][0]["annotations"] == {"a": "b"}


class Racing(OpenRepository):
    """Somebody else writes the tag right after us, a few times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        pushed = super().put_manifest(content, media_type, tag=tag)
        if tag.endswith(".sig") and self.times:
            self.times -= 1
            theirs, config = classic.manifest([self.write_blob(b"theirs", classic.SIGNATURE_LAYER)])
            self.write_blob(config, "config")
            super().put_manifest(theirs.encode(), theirs.media_type, tag=tag)
        return pushed


def test_a_lost_race_for_the_classic_tag_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_PAUSE_SECONDS", 0.0)
    repository = Racing(2)
    push_image(repository, "v1")
    (index, *_rest) = publish.targets(repository, "v1")
    publish.sign(repository, index, attestor())
    layers = Manifest.parse(repository.get_manifest(f"sha256-{index.digest.hex}.sig")[1], what="it").layers
    assert len(layers) == 2


def test_a_race_that_is_never_won_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_PAUSE_SECONDS", 0.0)
    repository = Racing(100)
    push_image(repository, "v1")
    with pytest.raises(SigningError, match="overwritten by somebody else"):
        sign_all(repository, "v1")


def test_statements_have_one_encoding() -> None:
    subject = Subject({"sha256": "0" * 64}, "name", {"b": "2", "a": "1"})
    made = Statement((subject,), SIGN)
    assert made.encode() == Statement((subject,), SIGN).encode()
    assert Statement.parse(made.encode(), what="it") == made
    assert json.loads(made.encode())["subject"][0]["annotations"] == {"a": "1", "b": "2"}
