"""A private sigstore instance for tests: OIDC, Fulcio, a certificate log, Rekor v1 and v2, a timestamp authority.

    with standin(directory) as instance:
        instance.trusted_root        a file: what verifiers trust
        instance.trust_config(1)     a file: that, and where to sign, with Rekor v1 (or 2)
        instance.signing_config(1)   a file: where to sign
        instance.token("a@b.example")

It does what real clients need to sign and verify, with keys made at start and a log in memory. It checks what it is
sent about as much as a stand-in must for tests to mean something: tokens, proofs of possession, signatures.
"""

from tests.support.sigstore_standin.server import Standin, standin

__all__ = ["Standin", "standin"]
