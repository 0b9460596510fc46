"""The identity provider: discovery, keys, and tokens for whoever a test names."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "sigstore"
_KEY_ID = "1"
_LIFETIME_SECONDS = 3600


class IdentityProvider:
    """RS256: cosign takes a token given by hand only if it is that."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._key = rsa.generate_private_key(65537, 2048)

    def token(self, identity: str) -> str:
        """A token for an e-mail address, or for a workflow's URI."""
        moment = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": identity,
            "iat": moment,
            "nbf": moment - 5,
            "exp": moment + _LIFETIME_SECONDS,
        }
        if "://" not in identity:
            claims |= {"email": identity, "email_verified": True}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _KEY_ID})

    def identity(self, token: str) -> str:
        """Whom a token of ours names; raises if it is not ours or has expired."""
        claims = jwt.decode(token, self._key.public_key(), algorithms=["RS256"], audience=AUDIENCE, issuer=self.issuer)
        return str(claims.get("email") or claims["sub"])

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def keys(self) -> dict[str, Any]:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**key, "kid": _KEY_ID, "alg": "RS256", "use": "sig"}]}
