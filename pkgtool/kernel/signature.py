"""The kernel's module signature format: PKCS#7 SignedData and a trailer behind the module.

Format: include/linux/module_signature.h (struct module_signature) and scripts/sign-file.c of the kernel, unchanged
since 4.3. The signature is RFC 2315's SignedData, detached, without attributes and certificates: one SignerInfo that
names its key by issuer and serial number. RSA with PKCS#1 v1.5 has no randomness, so signing is reproducible, and
what is made here has the bytes that `scripts/sign-file` makes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pkgtool.kernel import der

MAGIC = b"~Module signature appended~\n"
_TRAILER = struct.Struct(">BBBBB3xI")
_ID_PKCS7 = 2

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_DATA = bytes.fromhex("2a864886f70d010701")
_RSA = bytes.fromhex("2a864886f70d010101")
_HASHES = {
    "sha1": bytes.fromhex("2b0e03021a"),
    "sha224": bytes.fromhex("608648016503040204"),
    "sha256": bytes.fromhex("608648016503040201"),
    "sha384": bytes.fromhex("608648016503040202"),
    "sha512": bytes.fromhex("608648016503040203"),
}
_HASH_NAMES = {identifier: name for name, identifier in _HASHES.items()}


class Malformed(ValueError):
    """Bytes that claim to be a module signature and are none; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class SignerId:
    """A certificate as signatures name it. `issuer` is the DER of the issuer's Name, `serial` the INTEGER's content."""

    issuer: bytes
    serial: bytes

    @property
    def text(self) -> str:
        """The serial number in hex, as `openssl x509 -serial` shows it."""
        return self.serial.lstrip(b"\0").hex().upper() or "00"


@dataclass(frozen=True, slots=True)
class ModuleSignature:
    """What a module's signature says."""

    signer: SignerId
    hash: str
    signature: bytes


def signer_id(certificate: bytes) -> SignerId:
    """Issuer and serial number of an X.509 certificate in DER. Raises `ValueError` if it is none."""
    body = der.Reader(certificate).inside(der.SEQUENCE).inside(der.SEQUENCE)
    if body.peek() == der.CONTEXT_0:
        body.raw(der.CONTEXT_0)
    serial = body.content(der.INTEGER)
    body.raw(der.SEQUENCE)
    return SignerId(body.raw(der.SEQUENCE), serial)


def encode(signature: ModuleSignature) -> bytes:
    """The DER that goes behind a module."""
    algorithm = der.encode(der.SEQUENCE, der.encode(der.OBJECT, _HASHES[signature.hash]))
    rsa = der.encode(der.SEQUENCE, der.encode(der.OBJECT, _RSA), der.encode(der.NULL))
    signer = der.encode(
        der.SEQUENCE,
        der.encode(der.INTEGER, b"\x01"),
        der.encode(der.SEQUENCE, signature.signer.issuer, der.encode(der.INTEGER, signature.signer.serial)),
        algorithm,
        rsa,
        der.encode(der.OCTET_STRING, signature.signature),
    )
    signed_data = der.encode(
        der.SEQUENCE,
        der.encode(der.INTEGER, b"\x01"),
        der.encode(der.SET, algorithm),
        der.encode(der.SEQUENCE, der.encode(der.OBJECT, _DATA)),
        der.encode(der.SET, signer),
    )
    return der.encode(der.SEQUENCE, der.encode(der.OBJECT, _SIGNED_DATA), der.encode(der.CONTEXT_0, signed_data))


def decode(content: bytes) -> ModuleSignature:
    """Read such DER. Raises `Malformed`."""
    try:
        return _decode(content)
    except Malformed:
        raise
    except ValueError as problem:
        raise Malformed(f"the signature is damaged: {problem}") from problem


def _decode(content: bytes) -> ModuleSignature:
    outer = der.Reader(content)
    info = outer.inside(der.SEQUENCE)
    outer.end()
    if info.content(der.OBJECT) != _SIGNED_DATA:
        raise Malformed("the signature is no PKCS#7 SignedData")
    wrapped = info.inside(der.CONTEXT_0)
    info.end()
    data = wrapped.inside(der.SEQUENCE)
    wrapped.end()
    _version(data)
    hashes = data.inside(der.SET)
    listed = _algorithm(hashes)
    hashes.end()
    content_info = data.inside(der.SEQUENCE)
    if content_info.content(der.OBJECT) != _DATA:
        raise Malformed("the signature is not over data")
    content_info.end()
    if data.peek() == der.CONTEXT_0:
        data.raw(der.CONTEXT_0)  # certificates that some signers add; the kernel does not need them
    signers = data.inside(der.SET)
    data.end()
    signer = signers.inside(der.SEQUENCE)
    signers.end()
    return _signer_info(signer, listed)


def _signer_info(signer: der.Reader, listed: bytes) -> ModuleSignature:
    _version(signer)
    identity = signer.inside(der.SEQUENCE)
    who = SignerId(identity.raw(der.SEQUENCE), identity.content(der.INTEGER))
    identity.end()
    used = _algorithm(signer)
    hash_name = _HASH_NAMES.get(used)
    if hash_name is None:
        raise Malformed("the signature uses an unknown hash")
    if used != listed:
        raise Malformed("the signature names two hashes")
    if signer.peek() == der.CONTEXT_0:
        raise Malformed("the signature has signed attributes, which module signatures don't have")
    if _algorithm(signer) != _RSA:
        raise Malformed("the signature is not made with RSA")
    made = ModuleSignature(who, hash_name, signer.content(der.OCTET_STRING))
    signer.end()
    return made


def _version(reader: der.Reader) -> None:
    if reader.content(der.INTEGER) != b"\x01":
        raise Malformed("the signature is of another version than 1")


def _algorithm(reader: der.Reader) -> bytes:
    """The identifier of an algorithm whose parameters are absent or NULL: signers write either."""
    algorithm = reader.inside(der.SEQUENCE)
    identifier = algorithm.content(der.OBJECT)
    if algorithm and algorithm.content(der.NULL):
        raise Malformed("an algorithm of the signature has parameters")
    algorithm.end()
    return identifier


def trailer(signature: bytes) -> bytes:
    """What follows a module's content: the signature, its length, the magic string."""
    return signature + _TRAILER.pack(0, 0, _ID_PKCS7, 0, 0, len(signature)) + MAGIC


def split(module: memoryview) -> tuple[memoryview, bytes | None]:
    """A module's content and the DER of its signature, or None if nothing is appended. Raises `Malformed`."""
    overhead = _TRAILER.size + len(MAGIC)
    if len(module) < overhead or module[-len(MAGIC) :] != MAGIC:
        return module, None
    algorithm, hash_id, kind, signer_length, key_length, length = _TRAILER.unpack(module[-overhead : -len(MAGIC)])
    if (algorithm, hash_id, kind, signer_length, key_length) != (0, 0, _ID_PKCS7, 0, 0):
        raise Malformed("the signature's trailer is not of the PKCS#7 kind")
    if not 0 < length <= len(module) - overhead:
        raise Malformed("the signature's trailer gives an impossible length")
    end = len(module) - overhead
    return module[: end - length], bytes(module[end - length : end])
