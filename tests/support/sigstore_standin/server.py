"""The services behind one HTTP server, and the files that point to them."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.sigstore_standin import documents
from tests.support.sigstore_standin.fulcio import Fulcio
from tests.support.sigstore_standin.oidc import IdentityProvider
from tests.support.sigstore_standin.rekor import RekorV1, RekorV2
from tests.support.sigstore_standin.timestamps import TimestampAuthority


class Standin:
    """One instance. Its keys, and so its trusted root, are its own."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self._directory = directory
        self.provider = IdentityProvider(url)
        self.fulcio = Fulcio(self.provider)
        self.rekor1, self.rekor2 = RekorV1(), RekorV2()
        self.timestamps = TimestampAuthority(directory / "tsa")
        self._root = self._trusted_root()
        self.trusted_root = self._write("trusted_root.json", self._root)

    def _trusted_root(self) -> dict[str, Any]:
        p256 = "PKIX_ECDSA_P256_SHA_256"
        return documents.trusted_root(
            [
                documents.log(self.url, self.rekor1.key, self.rekor1.log_id, p256),
                documents.log(self.url, self.rekor2.key, self.rekor2.log_id, "PKIX_ED25519"),
            ],
            [documents.log(f"{self.url}/ct", self.fulcio.log.key, self.fulcio.log.log_id, p256)],
            [documents.authority(self.url, self.fulcio.authority.certificate)],
            [
                documents.authority(
                    f"{self.url}/api/v1/timestamp", self.timestamps.certificate, self.timestamps.authority.certificate
                )
            ],
        )

    def signing_config(self, rekor_version: int, *, timestamps: bool = True) -> Path:
        config = documents.signing_config(self.url, rekor_version, timestamps=timestamps)
        return self._write(f"signing_config_v{rekor_version}_{timestamps}.json", config)

    def trust_config(self, rekor_version: int) -> Path:
        config = documents.signing_config(self.url, rekor_version)
        return self._write(f"trust_config_v{rekor_version}.json", documents.trust_config(self._root, config))

    def token(self, identity: str) -> str:
        return self.provider.token(identity)

    def _write(self, name: str, document: dict[str, Any]) -> Path:
        path = self._directory / name
        path.write_text(json.dumps(document, indent=1))
        return path

    # -- HTTP -------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            return self.provider.discovery()
        return self.provider.keys() if path == "/keys" else None

    def post(self, path: str, body: bytes, token: str) -> tuple[Any, dict[str, str]] | None:
        """The answer and its headers."""
        if path == "/api/v2/signingCert":
            return self.fulcio.issue(token, json.loads(body)), {}
        if path == "/api/v1/log/entries":
            identifier, answer = self.rekor1.add(json.loads(body))
            return answer, {"ETag": identifier, "Location": f"/api/v1/log/entries/{identifier}"}
        if path == "/api/v2/log/entries":
            return self.rekor2.add(json.loads(body)), {}
        if path == "/api/v1/timestamp":
            return self.timestamps.answer(body), {"Content-Type": "application/timestamp-reply"}
        return None


@contextmanager
def standin(directory: Path) -> Iterator[Standin]:
    """Run an instance on a free port, its files in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    instance = Standin(directory, f"http://127.0.0.1:{server.server_address[1]}")
    server.instance = instance  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield instance
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answer = self._instance.get(self.path)
        self._answer(404 if answer is None else 200, answer or {}, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            found = self._instance.post(self.path, body, token)
        except Exception:  # noqa: BLE001 - whatever the cause, the client must get an answer
            self._answer(400, {"code": 400, "message": traceback.format_exc()}, {})
            return
        if found is None:
            self._answer(404, {}, {})
        else:
            self._answer(200 if "signingCert" in self.path else 201, *found)

    @property
    def _instance(self) -> Standin:
        instance: Standin = self.server.instance  # type: ignore[attr-defined]
        return instance

    def _answer(self, status: int, content: Any, headers: dict[str, str]) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Tests read what the server did, not its log."""
