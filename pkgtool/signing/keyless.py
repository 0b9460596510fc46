"""Signing with an identity in place of a key, through the `sigstore` library.

An identity provider vouches for who is there (in CI the platform's own, else a person at a browser), a certificate
authority gives a certificate for ten minutes, and a transparency log records that it was used. Only here is
`sigstore` imported, and it takes its time: what signs or verifies with keys must not load this module.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pkgtool.errors import PkgtoolError, SigningError, VerificationError
from pkgtool.oci import documents
from pkgtool.signing.attestor import ClassicLayer, attestation_layer
from pkgtool.signing.certificates import Certificate, Identity
from pkgtool.signing.encoding import b64, mapping, unb64
from pkgtool.signing.formats import bundle, classic
from pkgtool.signing.formats.bundle import Bundle
from pkgtool.signing.services import Services
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.signing.verify.evidence import Evidence, Trust
from pkgtool.signing.verify.proof import Proof, establish


class KeylessAttestor:
    """Signs as whoever the identity token names. A certificate that runs out is renewed while a token can be had."""

    def __init__(self, config: Any, token: Callable[[], Any]) -> None:
        from sigstore.sign import SigningContext

        signing_config, trusted_root = _documents(config)
        self._services = Services.parse(signing_config, what="the signing configuration")
        self.trust = Trust(root=TrustedRoot.parse(trusted_root, what="the trusted root"))
        self._context = SigningContext.from_trust_config(config)
        self._token = token
        self._lock = threading.Lock()
        self._signer = _guarded(self._new_signer)
        self._identity = self._certified_identity()

    @property
    def name(self) -> str:
        return str(self._identity)

    def made(self, evidence: Evidence) -> bool:
        signer = evidence.signer
        return (
            isinstance(signer, Identity)
            and (signer.subject, signer.issuer) == (self._identity.subject, self._identity.issuer)
            and bool(evidence.logged)
        )

    def attest(self, statement: bytes) -> Bundle:
        from sigstore.dsse import Statement

        made = self._signed(lambda signer: signer.sign_dsse(Statement(statement)))
        content = made.to_json().encode()
        found = Bundle.parse(content, what="the new bundle")
        envelope = found.envelope
        self._check(
            Proof(
                envelope.signed,
                envelope.signature,
                envelope.payload,
                "",
                found.certificate,
                found.log_entries,
                found.timestamps,
            )
        )
        return replace(found, logged_envelope=documents.encode(json.loads(content)["dsseEnvelope"]))

    def attestation_layer(self, bundle: Bundle, predicate_type: str) -> ClassicLayer | None:
        return attestation_layer(bundle, predicate_type)

    def signature_layer(self, payload: bytes) -> ClassicLayer | None:
        if not any(log.version == 1 for log in self._services.logs):
            return None
        made = self._signed(lambda signer: signer.sign_artifact(payload))
        document = json.loads(made.to_json())
        what = "the new signature"
        signature = unb64(mapping(document, "messageSignature", what).get("signature"), what)
        material = mapping(document, "verificationMaterial", what)
        entries, stamps = bundle.proofs(material, what=what)
        found = classic.Material(bundle.certificate(material, what=what), entries, stamps)
        self._check(Proof(payload, signature, payload, "", found.certificate, entries, stamps))
        return ClassicLayer(payload, {classic.SIGNATURE: b64(signature), **found.annotations()})

    def close(self) -> None:
        """The library has no way to close its connections; they end with the process."""

    def _check(self, proof: Proof) -> None:
        """What others will not accept must not be published: a missing timestamp is no error to the library."""
        try:
            establish(proof, self.trust, what="the new signature")
        except VerificationError as problem:
            raise SigningError(
                f"the services gave a signature that does not verify: {problem.message}",
                hint="is the trusted root the one of the instance that the signing configuration names?",
            ) from problem

    # -- certificates -----------------------------------------------------------------------------------

    def _signed(self, sign: Callable[[Any], Any]) -> Any:
        from sigstore.sign import ExpiredCertificate  # type: ignore[attr-defined]

        signer = self._signer
        try:
            return _guarded(lambda: sign(signer), passing=ExpiredCertificate)
        except ExpiredCertificate:
            with self._lock:
                if self._signer is signer:
                    self._signer = _guarded(self._new_signer)
            return _guarded(lambda: sign(self._signer))

    def _new_signer(self) -> Any:
        from sigstore.sign import Signer

        return Signer(self._token(), self._context)

    def _certified_identity(self) -> Identity:
        from cryptography.hazmat.primitives.serialization import Encoding

        # The library shows the certificate only in a finished bundle, and what was signed before is asked for earlier.
        certificate = _guarded(self._signer._signing_cert)  # noqa: SLF001
        try:
            return Certificate.parse(certificate.public_bytes(Encoding.DER), what="the signer").identity
        except VerificationError as problem:
            raise SigningError(problem.message) from problem


def open_keyless(
    config: Path | None = None, *, token: str = "", browser: bool = False, staging: bool = False
) -> KeylessAttestor:
    """Sign as the identity that the surroundings give.

    `config` is a client trust configuration of a private instance; without one it is the public instance (`staging`:
    its test twin), whose configuration is fetched and verified by TUF. The identity token is `token`, else what the CI
    platform offers, else, with `browser`, what a person gets there.
    Raises `SigningError` if there is no identity, or a service refuses.
    """
    from sigstore.models import ClientTrustConfig

    def load() -> Any:
        if config:
            return ClientTrustConfig.from_json(config.read_text())
        return ClientTrustConfig.staging() if staging else ClientTrustConfig.production()

    hint = None if config else "without --trust-config it is the public instance, which is asked over the network"
    loaded = _guarded(load, hint=hint)
    return KeylessAttestor(loaded, lambda: _identity_token(loaded, token, browser=browser))


def trusted_root(config: Path | None = None) -> bytes:
    """Whom signatures of an instance rest on, as the file that verifiers take: of `config`, else the public one."""
    from sigstore.models import ClientTrustConfig

    def load() -> Any:
        return ClientTrustConfig.from_json(config.read_text()) if config else ClientTrustConfig.production()

    return _documents(_guarded(load))[1]


def _identity_token(config: Any, token: str, *, browser: bool) -> Any:
    from sigstore.oidc import IdentityToken, Issuer, detect_credential

    found = token or detect_credential()
    if found:
        return IdentityToken(found)
    if not browser:
        raise SigningError(
            "there is no identity to sign with: no CI platform offers a token",
            hint="in GitHub Actions the job needs 'permissions: id-token: write'; a person signs in with a browser",
        )
    return Issuer(config.signing_config.get_oidc_url()).identity_token()


def _documents(config: Any) -> tuple[bytes, bytes]:
    """The signing configuration and the trusted root as they were read; the library has no public way to them."""
    inner = config._inner  # noqa: SLF001
    return inner.signing_config.to_json().encode(), inner.trusted_root.to_json().encode()


def _guarded(call: Callable[[], Any], *, passing: type[Exception] | None = None, hint: str | None = None) -> Any:
    """The library and what it stands on raise errors of many families; here they become one, without the token."""
    try:
        return call()
    except PkgtoolError:
        raise
    except Exception as problem:
        if passing and isinstance(problem, passing):
            raise
        reason = str(problem) or type(problem).__name__
        raise SigningError(f"keyless signing failed: {reason}", hint=hint) from problem
