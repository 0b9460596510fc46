"""Transparency logs: a Merkle tree in memory, and the two versions of Rekor's API around it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from tests.support.sigstore_standin import certificates

_ORIGIN = "127.0.0.1"
_TREE = "1193050959916656506"


def canonical(document: Any) -> bytes:
    """RFC 8785 for what occurs here: sorted keys, no space, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


class MerkleTree:
    """RFC 6962, 2.1: root and inclusion proofs, straight from the definition."""

    def __init__(self) -> None:
        self._leaves: list[bytes] = []

    def append(self, body: bytes) -> int:
        self._leaves.append(hashlib.sha256(b"\0" + body).digest())
        return len(self._leaves) - 1

    @property
    def size(self) -> int:
        return len(self._leaves)

    def root(self) -> bytes:
        return self._hash(self._leaves)

    def proof(self, index: int) -> list[bytes]:
        return self._path(index, self._leaves)

    def leaf(self, index: int) -> bytes:
        return self._leaves[index]

    @classmethod
    def _hash(cls, leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        middle = cls._split(leaves)
        return hashlib.sha256(b"\1" + cls._hash(leaves[:middle]) + cls._hash(leaves[middle:])).digest()

    @classmethod
    def _path(cls, index: int, leaves: list[bytes]) -> list[bytes]:
        if len(leaves) == 1:
            return []
        middle = cls._split(leaves)
        if index < middle:
            return [*cls._path(index, leaves[:middle]), cls._hash(leaves[middle:])]
        return [*cls._path(index - middle, leaves[middle:]), cls._hash(leaves[:middle])]

    @staticmethod
    def _split(leaves: list[bytes]) -> int:
        """The largest power of two that is smaller than the number of leaves."""
        return 1 << ((len(leaves) - 1).bit_length() - 1)


class RekorV1:
    """Gives promises (signed entry timestamps) and proofs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.log_id = hashlib.sha256(certificates.spki(self.key)).digest()
        self._tree = MerkleTree()
        self._lock = threading.Lock()
        self.entries = 0

    def add(self, entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The entry's id, and the answer."""
        spec = _dsse(entry["spec"]) if entry["kind"] == "dsse" else _checked_record(entry["spec"])
        body = canonical({"apiVersion": entry["apiVersion"], "kind": entry["kind"], "spec": spec})
        with self._lock:
            index = self._tree.append(body)
            self.entries += 1
            proof = {
                "logIndex": index,
                "rootHash": self._tree.root().hex(),
                "treeSize": self._tree.size,
                "hashes": [item.hex() for item in self._tree.proof(index)],
                "checkpoint": self._checkpoint(),
            }
            identifier = "00" * 8 + self._tree.leaf(index).hex()
        integrated = {
            "body": b64(body),
            "integratedTime": int(time.time()),
            "logID": self.log_id.hex(),
            "logIndex": index,
        }
        promise = self.key.sign(canonical(integrated), ec.ECDSA(hashes.SHA256()))
        verification = {"inclusionProof": proof, "signedEntryTimestamp": b64(promise)}
        return identifier, {identifier: {**integrated, "verification": verification}}

    def _checkpoint(self) -> str:
        note = f"{_ORIGIN} - {_TREE}\n{self._tree.size}\n{b64(self._tree.root())}\n"
        signature = self.key.sign(note.encode(), ec.ECDSA(hashes.SHA256()))
        return f"{note}\n\u2014 {_ORIGIN} {b64(self.log_id[:4] + signature)}\n"


class RekorV2:
    """Gives proofs only, and knows one kind of entry."""

    def __init__(self) -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.log_id = hashlib.sha256(_ORIGIN.encode() + b"\n\x01" + raw).digest()
        self._tree = MerkleTree()
        self._lock = threading.Lock()
        self.entries = 0

    def add(self, request: dict[str, Any]) -> dict[str, Any]:
        asked = request["hashedRekordRequestV002"]
        verifier = asked["signature"]["verifier"]
        _verify(_key_of(verifier), asked["signature"]["content"], base64.b64decode(asked["digest"]))
        record = {"data": {"algorithm": "SHA2_256", "digest": asked["digest"]}, "signature": asked["signature"]}
        body = canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": record}})
        with self._lock:
            index = self._tree.append(body)
            self.entries += 1
            proof = {
                "logIndex": str(index),
                "rootHash": b64(self._tree.root()),
                "treeSize": str(self._tree.size),
                "hashes": [b64(item) for item in self._tree.proof(index)],
                "checkpoint": {"envelope": self._checkpoint()},
            }
        return {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": proof,
            "canonicalizedBody": b64(body),
        }

    def _checkpoint(self) -> str:
        note = f"{_ORIGIN}\n{self._tree.size}\n{b64(self._tree.root())}\n"
        return f"{note}\n\u2014 {_ORIGIN} {b64(self.log_id[:4] + self.key.sign(note.encode()))}\n"


def _dsse(spec: dict[str, Any]) -> dict[str, Any]:
    """What Rekor keeps of an envelope: hashes, the signatures, and who verifies them."""
    proposed = spec["proposedContent"]
    envelope = json.loads(proposed["envelope"])
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    for signature, verifier in zip(envelope["signatures"], proposed["verifiers"], strict=True):
        _verify(_pem_key(base64.b64decode(verifier)), signature["sig"], hashlib.sha256(signed).digest(), signed)
    return {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(proposed["envelope"].encode()).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [
            {"signature": signature["sig"], "verifier": verifier}
            for signature, verifier in zip(envelope["signatures"], proposed["verifiers"], strict=True)
        ],
    }


def _checked_record(spec: dict[str, Any]) -> dict[str, Any]:
    key = _pem_key(base64.b64decode(spec["signature"]["publicKey"]["content"]))
    _verify(key, spec["signature"]["content"], bytes.fromhex(spec["data"]["hash"]["value"]))
    return spec


def _key_of(verifier: dict[str, Any]) -> Any:
    if "x509Certificate" in verifier:
        return x509.load_der_x509_certificate(base64.b64decode(verifier["x509Certificate"]["rawBytes"])).public_key()
    return serialization.load_der_public_key(base64.b64decode(verifier["publicKey"]["rawBytes"]))


def _pem_key(content: bytes) -> Any:
    if b"CERTIFICATE" in content:
        return x509.load_pem_x509_certificate(content).public_key()
    return serialization.load_pem_public_key(content)


def _verify(key: Any, signature: str, digest: bytes, message: bytes = b"") -> None:
    """As the real log does, refuse what its own signature does not fit."""
    prehashed = utils.Prehashed(hashes.SHA256())
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(base64.b64decode(signature), digest, padding.PKCS1v15(), prehashed)
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(base64.b64decode(signature), message)
    else:
        key.verify(base64.b64decode(signature), digest, ec.ECDSA(prehashed))
