"""The arithmetic of transparency logs: Merkle inclusion proofs and signed checkpoints. Nothing here knows sigstore."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from pkgtool.errors import VerificationError
from pkgtool.signing.public_key import PublicKey

_EM_DASH = "\u2014"


def leaf_hash(body: bytes) -> bytes:
    """The hash of an entry (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\0" + body).digest()


def root_from_proof(leaf: bytes, index: int, tree_size: int, hashes: tuple[bytes, ...]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2).

    Raises `VerificationError` if the proof is longer or shorter than the place in the tree asks for.
    """
    if index >= tree_size:
        raise VerificationError(f"the inclusion proof is for entry {index} of a log with {tree_size} entries")
    place, last, result = index, tree_size - 1, leaf
    for sibling in hashes:
        if last == 0:
            raise VerificationError("the inclusion proof is too long")
        if place & 1 or place == last:
            result = _node(sibling, result)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            result = _node(result, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise VerificationError("the inclusion proof is too short")
    return result


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's statement of its size and root (C2SP tlog-checkpoint), and the signatures below it (C2SP signed-note)."""

    text: bytes
    origin: str
    tree_size: int
    root: bytes
    signatures: tuple[tuple[bytes, bytes], ...]
    """The first four bytes of the key's id, and the signature."""

    @classmethod
    def parse(cls, note: str) -> Checkpoint:
        """Raises `VerificationError` if it is malformed."""
        text, blank, below = note.partition("\n\n")
        lines = text.split("\n")
        try:
            if not blank or len(lines) < 3 or not lines[0] or not below.endswith("\n"):
                raise ValueError("it has no text, a blank line, and signatures")
            signatures = tuple(_signature_line(line) for line in below[:-1].split("\n"))
            size = int(lines[1]) if lines[1].isascii() and lines[1].isdigit() else -1
            root = base64.b64decode(lines[2], validate=True)
            if size < 0 or len(root) != 32:
                raise ValueError("its size or root is malformed")
        except (ValueError, binascii.Error) as problem:
            raise VerificationError(f"the log's checkpoint is malformed: {problem}") from problem
        return cls(f"{text}\n".encode(), lines[0], size, root, signatures)

    def signed_by(self, key_id: bytes, key: PublicKey) -> bool:
        """Whether the log with that key signed it. Other signatures (of witnesses) don't matter."""
        return any(hint == key_id[:4] and key.verifies(signature, self.text) for hint, signature in self.signatures)


def _signature_line(line: str) -> tuple[bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != _EM_DASH or not name:
        raise ValueError("a signature line is not one")
    content = base64.b64decode(encoded, validate=True)
    if len(content) < 5:
        raise ValueError("a signature is too short")
    return content[:4], content[4:]
