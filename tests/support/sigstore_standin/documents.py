"""The files that clients are configured with: trusted root, signing configuration, client trust configuration."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509

from tests.support.sigstore_standin import certificates

_STANDIN = {"organization": "sigstore stand-in", "commonName": "stand-in"}


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _since() -> dict[str, str]:
    return {"start": (certificates.now() - certificates.ONE_DAY).strftime("%Y-%m-%dT%H:%M:%SZ")}


def log(url: str, key: Any, log_id: bytes, details: str) -> dict[str, Any]:
    """A transparency log in a trusted root."""
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": _b64(certificates.spki(key)), "keyDetails": details, "validFor": _since()},
        "logId": {"keyId": _b64(log_id)},
    }


def authority(url: str, *chain: x509.Certificate) -> dict[str, Any]:
    """A certificate or timestamp authority in a trusted root."""
    return {
        "subject": _STANDIN,
        "uri": url,
        "certChain": {"certificates": [{"rawBytes": _b64(certificates.der(each))} for each in chain]},
        "validFor": _since(),
    }


def trusted_root(
    logs: list[dict[str, Any]],
    certificate_logs: list[dict[str, Any]],
    certificate_authorities: list[dict[str, Any]],
    timestamp_authorities: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": logs,
        "certificateAuthorities": certificate_authorities,
        "ctlogs": certificate_logs,
        "timestampAuthorities": timestamp_authorities,
    }


def signing_config(url: str, rekor_version: int, *, timestamps: bool = True) -> dict[str, Any]:
    def service(address: str, version: int) -> dict[str, Any]:
        return {"url": address, "majorApiVersion": version, "validFor": _since(), "operator": "stand-in"}

    return {
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [service(url, 1)],
        "oidcUrls": [service(url, 1)],
        "rekorTlogUrls": [service(url, rekor_version)],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": [service(f"{url}/api/v1/timestamp", 1)] if timestamps else [],
        "tsaConfig": {"selector": "ANY"},
    }


def trust_config(root: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": root,
        "signingConfig": config,
    }
