"""Keys on a PKCS#11 token: smart cards, hardware security modules, SoftHSM."""

from __future__ import annotations

import threading
from typing import Any

from pkgtool.errors import SigningError
from pkgtool.signing.keys.passphrase import PIN_VARIABLES, Ask, secret_source
from pkgtool.signing.keys.pkcs11_uri import Pkcs11Uri
from pkgtool.signing.keys.signer import checked
from pkgtool.signing.public_key import HASH, Algorithm, PublicKey

_EXTRA_HINT = "pip install 'securesystemslib[crypto,hsm]'"


class Pkcs11Signer:
    """One private key object of a token. It never leaves the token; sessions take one call at a time."""

    def __init__(self, session: Any, key: Any, public_key: PublicKey, *, what: str) -> None:
        self._session = session
        self._key = key
        self._what = what
        self._lock = threading.Lock()
        self.public_key = public_key

    def sign(self, message: bytes) -> bytes:
        import pkcs11

        try:
            with self._lock:
                signature = _sign(self._key, self.public_key, message)
        except pkcs11.PKCS11Error as problem:
            raise SigningError(f"{self._what} can't sign: {type(problem).__name__}") from problem
        return checked(self.public_key, signature, message, by=self._what)


def open_pkcs11_key(uri: str, ask: Ask | None = None) -> Pkcs11Signer:
    """Log in to the token and find the key pair.

    `ask` gives the PIN unless the URI names a file for it. Raises `SigningError` for a missing library or module,
    an unknown token or key, a wrong PIN.
    """
    try:
        import pkcs11
    except ImportError as problem:
        raise SigningError("PKCS#11 keys need the Python library python-pkcs11", hint=_EXTRA_HINT) from problem
    wanted = Pkcs11Uri.parse(uri)
    if ask is None or wanted.pin_file:
        ask = secret_source(file=wanted.pin_file, variables=PIN_VARIABLES, option="pin-source=FILE in the URI")
    try:
        library = pkcs11.lib(wanted.module)
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as problem:
        raise SigningError(f"the PKCS#11 module {wanted.module} can't be loaded: {problem}") from problem
    session = _open_session(_find_token(library, wanted), wanted, ask)
    try:
        private = _find(session, wanted, pkcs11.ObjectClass.PRIVATE_KEY, "private")
        public = _find(session, wanted, pkcs11.ObjectClass.PUBLIC_KEY, "public")
        return Pkcs11Signer(session, private, _public_key(public, str(wanted)), what=str(wanted))
    except BaseException:
        session.close()
        raise


def _open_session(token: Any, wanted: Pkcs11Uri, ask: Ask) -> Any:
    import pkcs11

    try:
        return token.open(user_pin=ask(str(wanted)).decode())
    except pkcs11.exceptions.UserAlreadyLoggedIn:
        return token.open()  # PKCS#11 knows one login a process, not one a session
    except pkcs11.exceptions.PinIncorrect as problem:
        raise SigningError(
            f"the PIN of {wanted} is wrong", hint="a token locks itself after a few wrong ones"
        ) from problem
    except pkcs11.exceptions.PinLocked as problem:
        raise SigningError(f"the PIN of {wanted} is locked after too many wrong ones") from problem
    except (pkcs11.PKCS11Error, UnicodeDecodeError) as problem:
        raise SigningError(f"{wanted} can't be opened: {type(problem).__name__}") from problem


def _find_token(library: Any, wanted: Pkcs11Uri) -> Any:
    found = [
        token
        for token in library.get_tokens()
        if wanted.token in ("", token.label) and wanted.serial in ("", _text(token.serial))
    ]
    if len(found) == 1:
        return found[0]
    names = [f"token={token.label};serial={_text(token.serial)}" for token in library.get_tokens()]
    problem = f"{len(found)} tokens match" if found else "no token matches"
    raise SigningError(
        f"{problem} the PKCS#11 URI", details=names, hint="the lines above name the tokens that are there"
    )


def _find(session: Any, wanted: Pkcs11Uri, kind: Any, half: str) -> Any:
    import pkcs11

    attributes: dict[Any, Any] = {pkcs11.Attribute.CLASS: kind}
    if wanted.object:
        attributes[pkcs11.Attribute.LABEL] = wanted.object
    if wanted.id:
        attributes[pkcs11.Attribute.ID] = wanted.id
    found = list(session.get_objects(attributes))
    if len(found) == 1:
        return found[0]
    problem = "has no such" if not found else f"has {len(found)} matching"
    raise SigningError(
        f"the token {wanted.token or wanted.serial} {problem} {half} key: {wanted}",
        hint="name it with object=LABEL or id=%01 in the URI; both halves must be on the token",
    )


def _public_key(public: Any, what: str) -> PublicKey:
    import pkcs11
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    attribute = pkcs11.Attribute
    try:
        if public.key_type is pkcs11.KeyType.RSA:
            numbers = (int.from_bytes(public[attribute.PUBLIC_EXPONENT]), int.from_bytes(public[attribute.MODULUS]))
            key: Any = rsa.RSAPublicNumbers(*numbers).public_key()
        elif public.key_type is pkcs11.KeyType.EC:
            key = ec.EllipticCurvePublicKey.from_encoded_point(
                _curve(public[attribute.EC_PARAMS]), _octets(public[attribute.EC_POINT])
            )
        elif public.key_type is pkcs11.KeyType.EC_EDWARDS:
            key = ed25519.Ed25519PublicKey.from_public_bytes(_octets(public[attribute.EC_POINT]))
        else:
            raise SigningError(f"{what} is a {public.key_type.name} key, which is not used for signatures here")
    except (ValueError, pkcs11.PKCS11Error) as problem:
        raise SigningError(f"the public half of {what} can't be read: {problem}") from problem
    return PublicKey.of(key, what=what)


def _curve(parameters: bytes) -> Any:
    """The named curve: CKA_EC_PARAMS holds its object identifier in DER."""
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[bytes, ec.EllipticCurve] = {
        bytes.fromhex("06082a8648ce3d030107"): ec.SECP256R1(),
        bytes.fromhex("06052b81040022"): ec.SECP384R1(),
        bytes.fromhex("06052b81040023"): ec.SECP521R1(),
    }
    curve = curves.get(bytes(parameters))
    if curve is None:
        raise ValueError("it is on a curve other than P-256, P-384 and P-521")
    return curve


def _octets(point: bytes) -> bytes:
    """CKA_EC_POINT is a DER octet string, but some tokens leave the frame away."""
    if len(point) > 2 and point[0] == 0x04:
        if point[1] == len(point) - 2:
            return bytes(point[2:])
        if point[1] == 0x81 and point[2] == len(point) - 3:
            return bytes(point[3:])
    return bytes(point)


def _sign(key: Any, public_key: PublicKey, message: bytes) -> bytes:
    """Hash here where the token's own hashing mechanisms differ between models; tokens know the bare ones."""
    import hashlib

    from pkcs11 import Mechanism

    algorithm = public_key.algorithm
    if algorithm is Algorithm.ED25519:
        return bytes(key.sign(message, mechanism=Mechanism.EDDSA))
    if algorithm is Algorithm.RSA:
        return bytes(key.sign(message, mechanism=Mechanism.SHA256_RSA_PKCS))
    raw = bytes(key.sign(hashlib.new(HASH, message).digest(), mechanism=Mechanism.ECDSA))
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def _text(value: Any) -> str:
    return value.decode("ascii", "replace").strip() if isinstance(value, bytes) else str(value).strip()
