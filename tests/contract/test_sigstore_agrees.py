"""The sigstore project's own verifier and ours, on the same bundles: they must say the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pkgtool.errors import VerificationError
from pkgtool.signing.formats.bundle import Bundle
from pkgtool.signing.keyless import open_keyless
from pkgtool.signing.statements.statement import SIGN, Statement, Subject
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.signing.verify.evidence import Trust
from pkgtool.signing.verify.proof import Proof, establish
from pkgtool.values import Digest
from tests.support.sigstore_standin import Standin, standin

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sigstore's open sockets

Document = dict[str, Any]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with standin(tmp_path_factory.mktemp("sigstore")) as running:
        yield running


@pytest.fixture(scope="module")
def bundles(instance: Standin) -> dict[int, list[Document]]:
    """Two honest bundles for each version of the log."""
    found = {}
    for version in (1, 2):
        attestor = open_keyless(instance.trust_config(version), token=instance.token("ci@pkgtool.example"))
        statements = [Statement((Subject.of(Digest.of(text), "x"),), SIGN).encode() for text in (b"one", b"two")]
        found[version] = [json.loads(attestor.attest(each).encode()) for each in statements]
    return found


def theirs(document: Document, root: Path) -> bool:
    from sigstore.models import Bundle as SigstoreBundle
    from sigstore.models import TrustedRoot as SigstoreRoot
    from sigstore.verify import Verifier
    from sigstore.verify.policy import UnsafeNoOp

    try:
        parsed = SigstoreBundle.from_json(json.dumps(document))
        Verifier(trusted_root=SigstoreRoot.from_file(str(root))).verify_dsse(parsed, UnsafeNoOp())
    except Exception:  # noqa: BLE001 - its errors have several families, and all of them are a no
        return False
    return True


def ours(document: Document, root: Path) -> bool:
    try:
        found = Bundle.parse(json.dumps(document).encode(), what="it")
        envelope = found.envelope
        proof = Proof(
            envelope.signed,
            envelope.signature,
            envelope.payload,
            found.key_hint,
            found.certificate,
            found.log_entries,
            found.timestamps,
        )
        return bool(establish(proof, Trust(root=TrustedRoot.load(root)), what="it").logged)
    except VerificationError:
        return False


def flip(text: str) -> str:
    """Base64 with one bit of its content changed."""
    content = bytearray(base64.b64decode(text))
    content[len(content) // 2] ^= 1
    return base64.b64encode(bytes(content)).decode()


def entry(document: Document) -> Document:
    found: Document = document["verificationMaterial"]["tlogEntries"][0]
    return found


def stamps(document: Document) -> list[Document]:
    found: list[Document] = document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    return found


def set_in(get: Callable[[Document], Document], key: str, change: Callable[[Any], Any]) -> Callable[..., None]:
    def act(document: Document, _other: Document) -> None:
        part = get(document)
        part[key] = change(part[key])

    return act


def borrow(get: Callable[[Document], Document], key: str) -> Callable[..., None]:
    def act(document: Document, other: Document) -> None:
        get(document)[key] = get(other)[key]

    return act


def material(document: Document) -> Document:
    found: Document = document["verificationMaterial"]
    return found


CHANGES: dict[str, Callable[[Document, Document], None]] = {
    "nothing": lambda d, o: None,
    "payload": set_in(lambda d: d["dsseEnvelope"], "payload", flip),
    "payload of another": borrow(lambda d: d["dsseEnvelope"], "payload"),
    "payload type": set_in(lambda d: d["dsseEnvelope"], "payloadType", lambda _: "text/plain"),
    "signature": set_in(lambda d: d["dsseEnvelope"]["signatures"][0], "sig", flip),
    "signature of another": borrow(lambda d: d["dsseEnvelope"], "signatures"),
    "envelope of another": borrow(lambda d: d, "dsseEnvelope"),
    "two signatures": set_in(lambda d: d["dsseEnvelope"], "signatures", lambda found: found * 2),
    "certificate": set_in(lambda d: material(d)["certificate"], "rawBytes", flip),
    "no log entry": lambda d, o: material(d).pop("tlogEntries") and None,
    "log entry of another": borrow(material, "tlogEntries"),
    "log body": set_in(entry, "canonicalizedBody", flip),
    "log body of another": borrow(entry, "canonicalizedBody"),
    "log id": set_in(lambda d: entry(d)["logId"], "keyId", flip),
    "root hash": set_in(lambda d: entry(d)["inclusionProof"], "rootHash", flip),
    "proof's index": set_in(lambda d: entry(d)["inclusionProof"], "logIndex", lambda text: str(int(text) + 1)),
    "proof's hashes": set_in(lambda d: entry(d)["inclusionProof"], "hashes", lambda found: [*found, "A" * 43 + "="]),
    "no proof": lambda d, o: entry(d).pop("inclusionProof") and None,
    "checkpoint of another": borrow(lambda d: entry(d)["inclusionProof"], "checkpoint"),
    "timestamp of another": borrow(material, "timestampVerificationData"),
    "kind": set_in(lambda d: entry(d)["kindVersion"], "kind", lambda _: "rekord"),
    "media type": set_in(lambda d: d, "mediaType", lambda _: "application/json"),
}
ONLY_1: dict[str, Callable[[Document, Document], None]] = {
    "integrated time": set_in(entry, "integratedTime", lambda text: str(int(text) + 1)),
    "promise": set_in(lambda d: entry(d)["inclusionPromise"], "signedEntryTimestamp", flip),
}
ONLY_2: dict[str, Callable[[Document, Document], None]] = {
    "no timestamp": lambda d, o: material(d).pop("timestampVerificationData") and None,
}


WE_ARE_STRICTER = {(1, "timestamp of another"), (2, "log id")}
"""It drops a timestamp that does not fit if there is another time, and does not look at all of a log's id."""


@pytest.mark.parametrize(
    ("version", "name"), [*((1, name) for name in (*CHANGES, *ONLY_1)), *((2, name) for name in (*CHANGES, *ONLY_2))]
)
def test_both_verifiers_agree(instance: Standin, bundles: dict[int, list[Document]], version: int, name: str) -> None:
    document, other = (json.loads(json.dumps(each)) for each in bundles[version])
    {**CHANGES, **ONLY_1, **ONLY_2}[name](document, other)
    said = theirs(document, instance.trusted_root), ours(document, instance.trusted_root)
    if (version, name) in WE_ARE_STRICTER:
        assert said == (True, False)
    else:
        assert said == (name == "nothing",) * 2


def test_another_instances_root(instance: Standin, bundles: dict[int, list[Document]], tmp_path: Path) -> None:
    stranger = Standin(tmp_path, "https://stranger.example")
    for version in (1, 2):
        assert not theirs(bundles[version][0], stranger.trusted_root)
        assert not ours(bundles[version][0], stranger.trusted_root)
