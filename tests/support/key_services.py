"""Stand-ins for two key services, as their own client libraries speak to them: AWS KMS and Vault's transit engine."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

_AWS_HASHES = {"SHA_256": hashes.SHA256(), "SHA_384": hashes.SHA384()}


class KeyServices:
    """Private keys by name; `refuse` makes every call fail as a service does for somebody without the right."""

    def __init__(self, keys: dict[str, Any]) -> None:
        self.keys = keys
        self.refuse = False
        self.asked: list[dict[str, Any]] = []

    def aws(self, target: str, request: dict[str, Any]) -> dict[str, Any]:
        key = self.keys[request["KeyId"]]
        if target.endswith("GetPublicKey"):
            der = key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            return {"PublicKey": _b64(der), "SigningAlgorithms": _aws_algorithms(key)}
        digest = base64.b64decode(request["Message"])
        name = request["SigningAlgorithm"]
        prehashed = utils.Prehashed(_AWS_HASHES[name[-7:]])
        if isinstance(key, rsa.RSAPrivateKey):
            scheme: Any = padding.PKCS1v15()
            if "PSS" in name:
                scheme = padding.PSS(padding.MGF1(_AWS_HASHES[name[-7:]]), padding.PSS.DIGEST_LENGTH)
            signature = key.sign(digest, scheme, prehashed)
        else:
            signature = key.sign(digest, ec.ECDSA(prehashed))
        return {"Signature": _b64(signature), "SigningAlgorithm": name}

    def vault(self, path: str, request: dict[str, Any]) -> dict[str, Any] | None:
        action, _, name = path.removeprefix("/v1/transit/").partition("/")
        key = self.keys.get(name)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            return None
        if action == "keys":
            return {"data": {"keys": {"1": {"public_key": "AAAA"}, "10": {"public_key": _b64(_raw(key))}}}}
        signature = key.sign(base64.b64decode(request["input"]))
        return {"data": {"signature": f"vault:v10:{_b64(signature)}"}}


def _aws_algorithms(key: Any) -> list[str]:
    if isinstance(key, rsa.RSAPrivateKey):
        return ["RSASSA_PSS_SHA_256", "RSASSA_PKCS1_V1_5_SHA_256"]
    return ["ECDSA_SHA_384" if key.curve.name == "secp384r1" else "ECDSA_SHA_256"]


def _raw(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@contextmanager
def key_services(keys: dict[str, Any]) -> Iterator[tuple[KeyServices, str]]:
    """Both services on one free port; gives them and their URL."""
    services = KeyServices(keys)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.services = services  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield services, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        services: KeyServices = self.server.services  # type: ignore[attr-defined]
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        services.asked.append(request)
        if services.refuse:
            self._answer(403, {"__type": "AccessDeniedException", "message": "no", "errors": ["permission denied"]})
            return
        target = self.headers.get("X-Amz-Target", "")
        try:
            found = services.aws(target, request) if target else services.vault(self.path, request)
        except KeyError:
            found = None
        if found is None:
            self._answer(404, {"__type": "NotFoundException", "message": "no such key", "errors": []})
        else:
            self._answer(200, found)

    do_GET = do_POST = do_PUT = _serve

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Tests read what was asked, not a log."""
