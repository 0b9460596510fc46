"""Documents that somebody has tampered with: any change at any place ends in an error of ours, never in a traceback."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgtool.errors import PkgtoolError, SigningError, VerificationError
from pkgtool.oci import documents
from pkgtool.signing.dsse import Envelope
from pkgtool.signing.formats.bundle import Bundle
from pkgtool.signing.formats.classic import Material, SimpleSigning
from pkgtool.signing.log.entry import LogEntry
from pkgtool.signing.services import Services
from pkgtool.signing.statements.statement import SIGN, Statement, Subject
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.signing.verify.check import examine
from pkgtool.signing.verify.collect import Candidate, Kind
from pkgtool.signing.verify.evidence import Evidence, Trust
from pkgtool.values import Digest
from tests.support.signing import attestor, signer
from tests.support.sigstore_standin.server import Standin
from tests.unit.signing.test_transparency import envelope, in_rekor_1, keyless

DIGEST = Digest.of(b"image")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Standin:
    return Standin(tmp_path_factory.mktemp("standin"), "https://standin.example")


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    found = [path]
    if isinstance(document, dict):
        for name, value in document.items():
            found += places(value, (*path, name))
    if isinstance(document, list):
        for number, value in enumerate(document):
            found += places(value, (*path, number))
    return found


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = json.loads(json.dumps(document))
    part = copy
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return copy


def attack(
    data: st.DataObject, document: Any, read: Callable[[bytes], Any], error: type[PkgtoolError] = VerificationError
) -> Any:
    """Read the document with one value exchanged; what it gives, or None if it was refused."""
    path = data.draw(st.sampled_from(places(document)))
    value = data.draw(JSON)
    try:
        return read(json.dumps(changed(document, path, value)).encode())
    except error:
        return None


def statement() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Statement((Subject.of(DIGEST, "x", {"a": "b"}),), SIGN, {"p": [1]}).encode())
    return found


@pytest.fixture(scope="module")
def logged(instance: Standin) -> dict[str, Any]:
    """An honest bundle by our key, in a log."""
    made = Bundle(envelope(json.dumps(statement()).encode()), signer().public_key.hint)
    entry = in_rekor_1(instance.rekor1, made.envelope)
    found: dict[str, Any] = json.loads(Bundle(made.envelope, made.key_hint, b"", (entry,)).encode())
    return found


@pytest.fixture(scope="module")
def by_identity(instance: Standin) -> dict[str, Any]:
    """An honest bundle by an identity, logged and stamped, around something that is no statement about the image."""
    proof = keyless(instance)
    sealed = Envelope(proof.payload, proof.signature)
    found: dict[str, Any] = json.loads(
        Bundle(sealed, "", proof.certificate, proof.log_entries, proof.timestamps).encode()
    )
    return found


@pytest.fixture(scope="module")
def answer(instance: Standin) -> dict[str, Any]:
    """What a log answers."""
    pem = base64.b64encode(signer().public_key.pem.encode()).decode()
    proposed = {"envelope": envelope().encode().decode(), "verifiers": [pem]}
    return instance.rekor1.add({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": proposed}})[1]


@settings(max_examples=300)
@given(st.data())
def test_a_signed_bundle(instance: Standin, logged: dict[str, Any], data: st.DataObject) -> None:
    """Whatever is changed in the whole chain of documents, nothing but the honest claim ever comes out as evidence."""
    trust = Trust((signer().public_key,), TrustedRoot.load(instance.trusted_root))

    def read(content: bytes) -> Any:
        return examine(Candidate(DIGEST, Kind.BUNDLE, DIGEST, content), trust)

    found = attack(data, logged, read)
    if isinstance(found, Evidence):
        assert (found.digest, found.predicate_type, found.annotations) == (DIGEST, SIGN, {"a": "b"})
        assert found.predicate == {"p": [1]}


@settings(max_examples=150)
@given(st.data())
def test_a_keyless_bundle(instance: Standin, by_identity: dict[str, Any], data: st.DataObject) -> None:
    trust = Trust(root=TrustedRoot.load(instance.trusted_root))

    def read(content: bytes) -> Any:
        return examine(Candidate(DIGEST, Kind.BUNDLE, DIGEST, content), trust)

    assert not isinstance(attack(data, by_identity, read), Evidence)


@given(st.data())
def test_a_statement(data: st.DataObject) -> None:
    found = attack(data, statement(), lambda content: Statement.parse(content, what="it"))
    if found is not None:
        with contextlib.suppress(VerificationError):
            assert found.about(DIGEST, what="it").digests == {"sha256": DIGEST.hex}


@given(st.data())
def test_a_classic_payload_and_its_annotations(instance: Standin, data: st.DataObject) -> None:
    payload = SimpleSigning(str(DIGEST), "r", {"a": "b"}).encode()
    attack(data, json.loads(payload), lambda content: SimpleSigning.parse(content, what="it"))
    entry = in_rekor_1(instance.rekor1, envelope())
    attack(data, json.loads(entry.annotation()), lambda content: LogEntry.of_annotation(content.decode(), what="it"))
    annotations = Material(b"certificate", (entry,), (b"stamp",)).annotations()
    name = data.draw(st.sampled_from(sorted(annotations)))
    with contextlib.suppress(VerificationError):
        Material.read({**annotations, name: data.draw(st.text())}, what="it")


@given(st.data())
def test_a_logs_answer(answer: dict[str, Any], data: st.DataObject) -> None:
    def read(content: bytes) -> Any:
        return LogEntry.of_rekor_v1(documents.decode(content, what="it", error=VerificationError), what="it")

    attack(data, answer, read)


@given(st.data())
def test_a_trusted_root_and_a_signing_configuration(instance: Standin, data: st.DataObject) -> None:
    root = json.loads(instance.trusted_root.read_bytes())
    attack(data, root, lambda content: TrustedRoot.parse(content, what="it"))
    config = json.loads(instance.signing_config(1).read_bytes())
    attack(data, config, lambda content: Services.parse(content, what="it"), SigningError)


@given(st.binary(max_size=300))
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    trust = Trust((signer().public_key,))
    for kind in Kind:
        candidate = Candidate(DIGEST, kind, DIGEST, content, {"dev.cosignproject.cosign/signature": "AAAA"})
        assert not isinstance(examine(candidate, trust), Evidence)


def test_the_honest_bundle_is_evidence(tmp_path: Path) -> None:
    """So that the refusals above mean something."""
    made = attestor().attest(json.dumps(statement()).encode())
    found = examine(Candidate(DIGEST, Kind.BUNDLE, DIGEST, made.encode()), Trust((signer().public_key,)))
    assert isinstance(found, Evidence)
