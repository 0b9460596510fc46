"""Public keys and the one way each kind is used.

A key decides its algorithm: whoever could choose another hash or padding for a signature could also choose a weak
one. The table is what `cosign verify` accepts without further options, so there is no RSA-PSS in it, and every
ECDSA key signs with SHA-256. cosign itself signs with SHA-384 and SHA-512 on the larger curves (and then needs an
option to verify that); such signatures are accepted here, never made.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pkgtool.errors import PkgtoolError, SigningError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import hashes

_RSA_PSS_OID = bytes.fromhex("06092a864886f70d01010a")
_RSA_BITS = (2048, 3072, 4096)


class Algorithm(StrEnum):
    """A kind of key, and with it the hash and padding."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"
    ED25519 = "ed25519"
    RSA = "rsa-pkcs1v15"


HASH = "sha256"
"""The hash that a message goes through first, for every kind of key but Ed25519, which takes the message whole."""
_CURVE_HASHES = {Algorithm.ECDSA_P384: "sha384", Algorithm.ECDSA_P521: "sha512"}
_CURVES = {
    "secp256r1": Algorithm.ECDSA_P256,
    "secp384r1": Algorithm.ECDSA_P384,
    "secp521r1": Algorithm.ECDSA_P521,
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with. Two are equal if their encodings are."""

    der: bytes
    """SubjectPublicKeyInfo, DER (RFC 5280)."""
    algorithm: Algorithm
    _key: Any = field(compare=False, repr=False)

    @classmethod
    def parse(cls, content: bytes, *, what: str, error: type[PkgtoolError] = SigningError) -> PublicKey:
        """Read a public key: PEM (SubjectPublicKeyInfo), one line of OpenSSH, or DER.

        Raises `error` naming `what` if it is none of these, or of a kind that is not used here.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization

        text = content.strip()
        try:
            if text.startswith(b"-----BEGIN"):
                key: Any = serialization.load_pem_public_key(text)
            elif text.startswith((b"ssh-", b"ecdsa-sha2-")):
                key = serialization.load_ssh_public_key(text)
            else:
                key = serialization.load_der_public_key(content)
        except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
            hint = "a private key begins with PRIVATE KEY: give the public half" if b"PRIVATE KEY" in text else None
            raise error(f"{what} is not a public key in PEM, OpenSSH or DER form", hint=hint) from problem
        if _RSA_PSS_OID in _body(text):
            raise error(
                f"{what} is restricted to RSA-PSS, which cosign does not accept",
                hint="use ECDSA P-256, Ed25519, or RSA with PKCS#1 v1.5",
            )
        return cls.of(key, what=what, error=error)

    @classmethod
    def of(cls, key: Any, *, what: str, error: type[PkgtoolError] = SigningError) -> PublicKey:
        """Wrap a public key object of `cryptography`; raises `error` if it is of a kind that is not used here."""
        from cryptography.hazmat.primitives import serialization

        algorithm = _algorithm(key)
        if algorithm is None:
            raise error(
                f"{what} is a {_describe(key)}, which is not used for signatures here",
                hint="use ECDSA (P-256, P-384, P-521), Ed25519, or RSA with 2048, 3072 or 4096 bits",
            )
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return cls(der, algorithm, key)

    @property
    def pem(self) -> str:
        """SubjectPublicKeyInfo as PEM, which cosign and openssl read."""
        text = base64.encodebytes(self.der).replace(b"\n", b"").decode()
        lines = "".join(f"{text[start : start + 64]}\n" for start in range(0, len(text), 64))
        return f"-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n"

    @property
    def fingerprint(self) -> str:
        """The sha256 of the DER encoding, in hexadecimal: what people compare."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def hint(self) -> str:
        """The sha256 of the DER encoding, in base64: what a sigstore bundle names the key by."""
        return base64.b64encode(hashlib.sha256(self.der).digest()).decode()

    @property
    def bits(self) -> int:
        """The size of the key: of the modulus for RSA, of the curve otherwise."""
        return int(getattr(self._key, "key_size", 256))

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` over `message` is this key's, as this module's table has it."""
        return self._accepts(signature, message, *parameters(self.algorithm))

    def verifies_curve_hash(self, signature: bytes, message: bytes) -> bool:
        """Whether it is this key's, with the hash that belongs to its curve (P-384, P-521)."""
        from cryptography.hazmat.primitives.asymmetric import ec

        name = _CURVE_HASHES.get(self.algorithm)
        return name is not None and self._accepts(signature, message, ec.ECDSA(hash_named(name)))

    def verifies_pss(self, signature: bytes, message: bytes) -> bool:
        """Whether it is this RSA key's signature, but with PSS padding: only to name the reason of a refusal."""
        from cryptography.hazmat.primitives.asymmetric import padding

        sha256 = hash_named(HASH)
        scheme = padding.PSS(padding.MGF1(sha256), padding.PSS.AUTO)
        return self.algorithm is Algorithm.RSA and self._accepts(signature, message, scheme, sha256)

    def _accepts(self, signature: bytes, message: bytes, *parameters: Any) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message, *parameters)
        except InvalidSignature:
            return False
        return True


def parameters(algorithm: Algorithm) -> tuple[Any, ...]:
    """What `cryptography` takes after the message, to sign or verify by an algorithm."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    if algorithm is Algorithm.ED25519:
        return ()
    if algorithm is Algorithm.RSA:
        return padding.PKCS1v15(), hash_named(HASH)
    return (ec.ECDSA(hash_named(HASH)),)


def hash_named(name: str) -> hashes.HashAlgorithm:
    """A hash as `cryptography` wants it, by hashlib's name."""
    from cryptography.hazmat.primitives import hashes

    kinds: dict[str, hashes.HashAlgorithm] = {
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }
    return kinds[name]


def _algorithm(key: Any) -> Algorithm | None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Algorithm.ED25519
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS:
        return Algorithm.RSA
    return None


def _describe(key: Any) -> str:
    curve = getattr(key, "curve", None)
    if curve is not None:
        return f"key on the curve {curve.name}"
    size = getattr(key, "key_size", None)
    kind = type(key).__name__.removesuffix("PublicKey").lstrip("_")
    return f"{kind} key of {size} bits" if size else f"{kind} key"


def _body(text: bytes) -> bytes:
    """The DER inside PEM, or the bytes themselves."""
    if not text.startswith(b"-----BEGIN"):
        return text
    return base64.b64decode(b"".join(line for line in text.splitlines() if not line.startswith(b"-----")))
