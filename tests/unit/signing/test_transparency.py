"""Logs, timestamps and certificates, against the stand-in's own keys and without any network."""

import base64
import contextlib
import datetime as dt
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import VerificationError
from pkgtool.signing.certificates import Certificate
from pkgtool.signing.dsse import IN_TOTO, Envelope, pae
from pkgtool.signing.encoding import b64
from pkgtool.signing.formats.classic import Material
from pkgtool.signing.log.check import SignedThing, check_entry
from pkgtool.signing.log.entry import LogEntry
from pkgtool.signing.log.proofs import Checkpoint, leaf_hash, root_from_proof
from pkgtool.signing.log.timestamp import check_timestamp
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.signing.verify.evidence import Trust
from pkgtool.signing.verify.proof import Proof, establish
from tests.support.signing import new_private_key, signer
from tests.support.sigstore_standin.rekor import MerkleTree, RekorV1, RekorV2
from tests.support.sigstore_standin.server import Standin

WHO = "ci@pkgtool.example"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Standin:
    """The services themselves, called without HTTP."""
    return Standin(tmp_path_factory.mktemp("standin"), "https://standin.example")


@pytest.fixture(scope="module")
def root(instance: Standin) -> TrustedRoot:
    return TrustedRoot.load(instance.trusted_root)


# -- Merkle proofs --------------------------------------------------------------------------------------


@given(st.integers(1, 70), st.data())
def test_an_honest_proof_leads_to_the_root_and_a_changed_one_does_not(size: int, data: st.DataObject) -> None:
    tree = MerkleTree()
    for number in range(size):
        tree.append(b"%d" % number)
    index = data.draw(st.integers(0, size - 1))
    proof = tuple(tree.proof(index))
    leaf = leaf_hash(b"%d" % index)
    assert root_from_proof(leaf, index, size, proof) == tree.root()
    other = data.draw(st.integers(0, size - 1).filter(lambda found: found != index)) if size > 1 else None
    for wrong in (
        lambda: root_from_proof(leaf_hash(b"x"), index, size, proof),
        lambda: root_from_proof(leaf, index, size, (*proof, leaf)),
        lambda: root_from_proof(leaf, index, size, proof[:-1]) if proof else b"",
        lambda: root_from_proof(leaf, size, size, proof),
        lambda: root_from_proof(leaf, other, size, proof) if other is not None else b"",
    ):
        with contextlib.suppress(VerificationError):
            assert wrong() != tree.root()


@pytest.mark.parametrize(
    "note",
    [
        "",
        "origin\n1\n",
        "origin\n1\nAAAA\n\n\u2014 origin AAAAAAAA\n",
        f"origin\nx\n{b64(bytes(32))}\n\n\u2014 origin AAAAAAAA\n",
        f"origin\n1\n{b64(bytes(32))}\n\norigin AAAAAAAA\n",
        f"origin\n1\n{b64(bytes(32))}\n\n\u2014 origin AAAA\n",
        f"origin\n1\n{b64(bytes(32))}\n\n\u2014 origin !!\n",
        f"origin\n1\n{b64(bytes(32))}\n\n\u2014 origin AAAAAAAA",
    ],
)
def test_a_malformed_checkpoint(note: str) -> None:
    with pytest.raises(VerificationError, match="checkpoint is malformed"):
        Checkpoint.parse(note)


# -- log entries ----------------------------------------------------------------------------------------


def envelope(payload: bytes = b"payload", name: str = "ours") -> Envelope:
    return Envelope(payload, signer(name).sign(pae(IN_TOTO, payload)))


def thing(made: Envelope, name: str = "ours") -> SignedThing:
    return SignedThing(made.signed, made.signature, made.payload, signer(name).public_key)


def in_rekor_1(log: RekorV1, made: Envelope, name: str = "ours") -> LogEntry:
    pem = b64(signer(name).public_key.pem.encode())
    content = {"envelope": made.encode().decode(), "verifiers": [pem]}
    _, answer = log.add({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}})
    return LogEntry.of_rekor_v1(answer, what="it")


def in_rekor_2(log: RekorV2, made: Envelope) -> LogEntry:
    verifier = {"publicKey": {"rawBytes": b64(signer().public_key.der)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    digest = hashlib.sha256(made.signed).digest()
    signature = {"content": b64(made.signature), "verifier": verifier}
    return LogEntry.of_document(
        log.add({"hashedRekordRequestV002": {"digest": b64(digest), "signature": signature}}), what="it"
    )


def test_both_versions_of_the_log(instance: Standin, root: TrustedRoot) -> None:
    made = envelope()
    for _ in range(5):
        in_rekor_1(instance.rekor1, envelope(b"somebody else's"))
    first, second = in_rekor_1(instance.rekor1, made), in_rekor_2(instance.rekor2, made)
    assert check_entry(first, thing(made), root).time is not None
    assert check_entry(second, thing(made), root).time is None
    for entry in (first, second):
        assert LogEntry.of_document(json.loads(json.dumps(entry.document())), what="it") == entry
    annotated = LogEntry.of_annotation(first.annotation(), what="it")
    assert annotated.proof is None
    assert check_entry(annotated, thing(made), root).index == first.index


def changed_proof(entry: LogEntry, **changes) -> LogEntry:
    return replace(entry, proof=replace(entry.proof, **changes))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e, o: replace(e, log_id=bytes(32)), "is not in the trusted root"),
        (lambda e, o: replace(e, proof=None, promise=b""), "without a proof"),
        (lambda e, o: replace(e, body=o.body), "not in the log"),
        (lambda e, o: changed_proof(e, root=bytes(32)), "does not lead to its root"),
        (lambda e, o: changed_proof(e, checkpoint=o.proof.checkpoint), "for another tree"),
        (lambda e, o: changed_proof(e, checkpoint=e.proof.checkpoint.replace("\n", "x\n", 1)), "not signed by the log"),
        (lambda e, o: replace(e, integrated_time=1), "signed entry timestamp is not signed"),
        (lambda e, o: replace(e, promise=o.promise), "signed entry timestamp is not signed"),
        (lambda e, o: replace(e, kind="hashedrekord"), "calls itself dsse/0.0.1"),
        (lambda e, o: o, "about another payload"),
    ],
)
def test_a_changed_log_entry(instance: Standin, root: TrustedRoot, change, words: str) -> None:
    made = envelope()
    entry, other = in_rekor_1(instance.rekor1, made), in_rekor_1(instance.rekor1, envelope(b"other"))
    with pytest.raises(VerificationError, match=words):
        check_entry(change(entry, other), thing(made), root)


def test_an_entry_about_another_signature_or_key(instance: Standin, root: TrustedRoot) -> None:
    made, again = envelope(), envelope()
    entry = in_rekor_1(instance.rekor1, made)
    with pytest.raises(VerificationError, match="another signature"):
        check_entry(entry, thing(again), root)
    with pytest.raises(VerificationError, match="another key"):
        check_entry(entry, replace(thing(made), key=signer("other").public_key), root)


def test_a_log_whose_key_was_not_valid_then(instance: Standin, root: TrustedRoot) -> None:
    made = envelope()
    entry = in_rekor_1(instance.rekor1, made)
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    ended = tuple(replace(log, period=replace(log.period, start=None, end=past)) for log in root.logs)
    with pytest.raises(VerificationError, match="key was not valid at"):
        check_entry(entry, thing(made), replace(root, logs=ended))


def test_what_a_false_log_entry_does_to_a_good_signature(instance: Standin, root: TrustedRoot) -> None:
    """Told by a trusted log, a lie is a reason to refuse; told by a stranger's log, it is nothing at all."""
    made = envelope()
    entry = in_rekor_1(instance.rekor1, made)
    lie = replace(entry, integrated_time=1)
    proof = Proof(made.signed, made.signature, made.payload, log_entries=(lie,))
    with pytest.raises(VerificationError):
        establish(proof, Trust((signer().public_key,), root), what="it")
    strangers = replace(lie, log_id=bytes(32))
    found = establish(replace(proof, log_entries=(strangers,)), Trust((signer().public_key,), root), what="it")
    assert found.logged == ()


# -- timestamps -----------------------------------------------------------------------------------------


def stamp(instance: Standin, content: bytes) -> bytes:
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    request = TimestampRequestBuilder().hash_algorithm(HashAlgorithm.SHA256).data(content).nonce(nonce=True).build()
    return instance.timestamps.answer(request.as_bytes())


def test_a_timestamp_counts_for_its_signature_alone(instance: Standin, root: TrustedRoot, tmp_path: Path) -> None:
    made = stamp(instance, b"signature")
    moment = check_timestamp(made, b"signature", root)
    assert abs(dt.datetime.now(dt.UTC) - moment) < dt.timedelta(minutes=1)
    for wrong, content in ((made, b"other"), (made[:-1] + bytes([made[-1] ^ 1]), b"signature"), (b"x", b"signature")):
        with pytest.raises(VerificationError):
            check_timestamp(wrong, content, root)
    stranger = Standin(tmp_path, "https://stranger.example")
    with pytest.raises(VerificationError, match="not a trusted authority's"):
        check_timestamp(made, b"signature", TrustedRoot.load(stranger.trusted_root))
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    (authority,) = root.timestamp_authorities
    ended = replace(authority, period=replace(authority.period, start=None, end=past))
    with pytest.raises(VerificationError, match="was not valid at"):
        check_timestamp(made, b"signature", replace(root, timestamp_authorities=(ended,)))


# -- certificates ---------------------------------------------------------------------------------------


def certificate(instance: Standin, who: str = WHO) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = new_private_key()
    possession = base64.b64encode(key.sign(who.encode(), ec.ECDSA(serialization_hash()))).decode()
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    request = {"publicKeyRequest": {"publicKey": {"content": pem.decode()}, "proofOfPossession": possession}}
    answer = instance.fulcio.issue(instance.token(who), request)
    leaf = answer["signedCertificateEmbeddedSct"]["chain"]["certificates"][0]
    return key, Material.read({"dev.sigstore.cosign/certificate": leaf}, what="it").certificate


def serialization_hash():
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("who", [WHO, "https://github.com/o/r/.github/workflows/w.yml@refs/heads/main"])
def test_a_certificate_names_its_identity(instance: Standin, root: TrustedRoot, who: str) -> None:
    found = Certificate.parse(certificate(instance, who)[1], what="it")
    assert (found.identity.subject, found.identity.issuer) == (who, "https://standin.example")
    found.check(now(), root)


def test_a_certificate_counts_only_while_it_lives(instance: Standin, root: TrustedRoot) -> None:
    found = Certificate.parse(certificate(instance)[1], what="it")
    for moment in (now() + dt.timedelta(minutes=11), now() - dt.timedelta(minutes=1)):
        with pytest.raises(VerificationError, match="the signature was made at"):
            found.check(moment, root)


def test_a_certificate_of_another_authority_or_log(instance: Standin, root: TrustedRoot, tmp_path: Path) -> None:
    found = Certificate.parse(certificate(instance)[1], what="it")
    stranger = TrustedRoot.load(Standin(tmp_path, "https://stranger.example").trusted_root)
    with pytest.raises(VerificationError, match="not issued by an authority"):
        found.check(now(), replace(root, certificate_authorities=stranger.certificate_authorities))
    with pytest.raises(VerificationError, match="no trusted certificate log"):
        found.check(now(), replace(root, certificate_logs=stranger.certificate_logs))
    with pytest.raises(VerificationError, match="no trusted certificate log"):
        found.check(now(), replace(root, certificate_logs=()))


def test_an_authority_that_is_no_signer(instance: Standin) -> None:
    from tests.support.sigstore_standin.certificates import der

    with pytest.raises(VerificationError, match="does not say which issuer"):
        Certificate.parse(der(instance.fulcio.authority.certificate), what="it")
    with pytest.raises(VerificationError, match="malformed"):
        Certificate.parse(b"nonsense", what="it")


def keyless(instance: Standin, *, logged: bool = True, stamped: bool = True) -> Proof:
    from cryptography.hazmat.primitives import hashes

    key, leaf = certificate(instance)
    payload = b"payload"
    message = pae(IN_TOTO, payload)
    signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    entries: tuple[LogEntry, ...] = ()
    if logged:
        verifier = {"x509Certificate": {"rawBytes": b64(leaf)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
        asked = {
            "digest": b64(hashlib.sha256(message).digest()),
            "signature": {"content": b64(signature), "verifier": verifier},
        }
        entries = (LogEntry.of_document(instance.rekor2.add({"hashedRekordRequestV002": asked}), what="it"),)
    return Proof(message, signature, payload, "", leaf, entries, (stamp(instance, signature),) if stamped else ())


def test_a_keyless_signature_needs_a_root_and_a_proven_time(instance: Standin, root: TrustedRoot) -> None:
    found = establish(keyless(instance), Trust(root=root), what="the bundle")
    assert found.signer.subject == WHO
    assert len(found.logged) == len(found.timestamps) == 1
    with pytest.raises(VerificationError, match="without a trusted root no certificate can be checked"):
        establish(keyless(instance), Trust(), what="the bundle")
    with pytest.raises(VerificationError, match="without a proven time"):
        establish(keyless(instance, stamped=False), Trust(root=root), what="the bundle")


def test_a_keyless_signature_over_something_else(instance: Standin, root: TrustedRoot) -> None:
    proof = keyless(instance)
    with pytest.raises(VerificationError, match="not the signature of its certificate"):
        establish(replace(proof, message=b"other"), Trust(root=root), what="it")
    with pytest.raises(VerificationError, match="not the signature of its certificate"):
        establish(replace(proof, certificate=certificate(instance)[1]), Trust(root=root), what="it")


# -- trusted roots --------------------------------------------------------------------------------------


def test_a_client_trust_configuration_holds_a_trusted_root(instance: Standin, root: TrustedRoot) -> None:
    assert TrustedRoot.load(instance.trust_config(1)) == root
    assert root.log(instance.rekor1.log_id).key == PublicKey.parse(
        instance.rekor1.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        what="it",
    )


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"mediaType": "application/json"},
        {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [1]},
        {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [{}]},
        {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "certificateAuthorities": [{}]},
        {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": "many"},
    ],
)
def test_a_malformed_trusted_root(document) -> None:
    with pytest.raises(VerificationError):
        TrustedRoot.parse(json.dumps(document).encode(), what="the trusted root")


def test_a_missing_trusted_root(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="can't be read"):
        TrustedRoot.load(tmp_path / "absent.json")
