"""Keys, attestors and signed images for tests of signatures."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pkgtool.oci.documents import Descriptor
from pkgtool.oci.repository import Repository
from pkgtool.signing import publish
from pkgtool.signing.attestor import KeyAttestor
from pkgtool.signing.keys.signer import MemorySigner
from pkgtool.signing.public_key import Algorithm
from pkgtool.signing.statements.statement import Statement, Subject

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def new_private_key(algorithm: Algorithm = Algorithm.ECDSA_P256):
    """A private key object of `cryptography`."""
    if algorithm is Algorithm.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm is Algorithm.RSA:
        return rsa.generate_private_key(65537, 2048)
    curves = {
        Algorithm.ECDSA_P256: ec.SECP256R1(),
        Algorithm.ECDSA_P384: ec.SECP384R1(),
        Algorithm.ECDSA_P521: ec.SECP521R1(),
    }
    return ec.generate_private_key(curves[algorithm])


def signer(name: str = "ours", algorithm: Algorithm = Algorithm.ECDSA_P256) -> MemorySigner:
    """The same key for the same name, all through a test run."""
    return _signer(name, algorithm)


@functools.cache
def _signer(name: str, algorithm: Algorithm) -> MemorySigner:
    return MemorySigner(new_private_key(algorithm), what=name)


def attestor(name: str = "ours") -> KeyAttestor:
    return KeyAttestor(signer(name))


def sign_all(repository: Repository, reference: str, name: str = "ours", **options) -> list[Descriptor]:
    """Sign the index and every manifest; gives what was signed."""
    found = publish.targets(repository, reference)
    for each in found:
        publish.sign(repository, each, attestor(name), **options)
    return found


def statement(subject: Descriptor, kind: str, predicate: Mapping | None = None) -> Statement:
    return Statement((Subject.of(subject.digest, "linuxkit/getty"),), kind, predicate or {"made": "for a test"})
