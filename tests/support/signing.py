"""Keys, attestors and signed images for tests of signatures."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pkgtool.oci.documents import Descriptor
from pkgtool.oci.repository import Repository, Target
from pkgtool.signing import publish
from pkgtool.signing.attestor import KeyAttestor
from pkgtool.signing.keys.signer import MemorySigner
from pkgtool.signing.public_key import Algorithm
from pkgtool.signing.statements.statement import Statement, Subject
from pkgtool.values import Digest, Platform
from tests.support.registry.images import AMD64, ARM64, put_package
from tests.support.registry.memory import MemoryRepository

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class OpenRepository(MemoryRepository):
    """A repository where anybody may write, and that gives `lies` in place of what is there, without looking."""

    def __init__(self, name: str = "registry.example/linuxkit/getty") -> None:
        super().__init__(name)
        self.lies: dict[Digest, bytes] = {}

    @property
    def writes(self) -> int:
        return self.calls["put_manifest"] + self.calls["write_blob"]

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        found = super().get_manifest(reference)
        return (found[0], self.lies.get(found[0].digest, found[1])) if found else None

    def read_blob(self, descriptor: Descriptor) -> bytes:
        return self.lies.get(descriptor.digest) or super().read_blob(descriptor)


def push_image(
    target: Target, tag: str, content: str = "hello", platforms: Sequence[Platform] = (AMD64, ARM64)
) -> Descriptor:
    """An index with an image per platform; `content` makes it differ from others."""
    return put_package(target, platforms, content, tag=tag)[0]


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
