"""PKCS#11 URIs (RFC 7512): `pkcs11:token=release;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from pkgtool.errors import SigningError

MODULE_VARIABLE = "PKGTOOL_PKCS11_MODULE"


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """What names a key on a token; empty fields don't matter for the search."""

    module: str
    token: str = ""
    serial: str = ""
    object: str = ""
    id: bytes = b""
    pin_file: Path | None = None

    @classmethod
    def parse(cls, uri: str) -> Pkcs11Uri:
        """Raises `SigningError` for a malformed URI, a PIN in it, or if neither it nor the environment has a module."""
        path, _, query = uri.removeprefix("pkcs11:").partition("?")
        attributes = _attributes(path, ";")
        options = _attributes(query, "&")
        if "pin-value" in options or "pin-value" in attributes:
            raise SigningError(
                "the PKCS#11 URI has a PIN in it, where every process on this machine can read it",
                hint="give the PIN as PKGTOOL_KEY_PIN in the environment, or pin-source=FILE in the URI",
            )
        module = unquote(options.get("module-path", "")) or os.environ.get(MODULE_VARIABLE, "")
        if not module:
            raise SigningError(
                "the PKCS#11 URI does not say which module talks to the token",
                hint=f"append ?module-path=/path/to/module.so, or set {MODULE_VARIABLE}",
            )
        source = unquote(options.get("pin-source", "")).removeprefix("file:")
        return cls(
            module,
            unquote(attributes.get("token", "")),
            unquote(attributes.get("serial", "")),
            unquote(attributes.get("object", "")),
            unquote_to_bytes(attributes.get("id", "")),
            Path(source) if source else None,
        )

    def __str__(self) -> str:
        """For people: the token and object, not the whole URI."""
        return f"{self.object or self.id.hex() or 'the key'} on the token {self.token or self.serial or '(any)'}"


def _attributes(text: str, separator: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if not equals or name in found:
            raise SigningError(f"the PKCS#11 URI has {part!r} where a new attribute=value must stand (RFC 7512)")
        found[name] = value
    return found
