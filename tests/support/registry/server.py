"""A small, strict registry for tests: the distribution-spec to the letter, with modes that real registries differ in.

It counts every request and every byte, remembers headers, and can answer a request with something else (`interfere`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

from pkgtool.oci.documents import INDEX, INDEX_TYPES, MANIFEST_TYPES

_NAME = r"([a-z0-9][a-z0-9._/-]*?)"
_ROUTES = {
    "manifest": re.compile(rf"/v2/{_NAME}/manifests/([^/]+)\Z"),
    "upload": re.compile(rf"/v2/{_NAME}/blobs/uploads/([a-f0-9]*)\Z"),
    "blob": re.compile(rf"/v2/{_NAME}/blobs/(sha256:[a-f0-9]{{64}})\Z"),
    "tags": re.compile(rf"/v2/{_NAME}/tags/list\Z"),
    "referrers": re.compile(rf"/v2/{_NAME}/referrers/(sha256:[a-f0-9]{{64}})\Z"),
}


@dataclass
class Modes:
    """How this registry differs from others."""

    referrers: bool = True
    mount: bool = True
    whole: bool = True
    """Takes a blob in one PUT."""
    parts: bool = True
    """Takes a blob in PATCHes."""
    redirect_blobs_to: str = ""
    """Answers a blob's GET with a redirect to this origin."""
    uploads_to: str = ""
    """Sends uploads to this origin, which the `Location` of a begun one names."""
    head_digest: bool = True
    """Names the digest in the answer to a HEAD."""
    page: int = 1000
    basic: tuple[str, str] | None = None
    bearer: tuple[str, str] | None = None
    """User and password that the token server wants."""
    token_form: str = "get"
    """get, post (GET is 405), or identity (only refresh tokens: the password is one)."""
    token_life: int = 300
    anonymous_pull: bool = False
    create: bool = True
    """Makes repositories at the first push."""


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    size: int


Interference = Callable[["Handler", str, str], bool]


@dataclass
class State:
    modes: Modes
    lock: threading.RLock = field(default_factory=threading.RLock)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    tokens: dict[str, set[str]] = field(default_factory=dict)
    interfere: Interference | None = None
    address: str = ""
    received: int = 0

    def count(self) -> Counter[str]:
        """Requests by method."""
        return Counter(request.method for request in self.seen)

    def forget(self) -> None:
        self.seen.clear()
        self.received = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: State

    def log_message(self, *args: object) -> None: ...

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError, ValueError):
            self.close_connection = True

    # -- answers ------------------------------------------------------------------------------------------

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        fields.setdefault("Content-Length", str(len(content)))
        if content and "Content-Type" not in fields:
            fields["Content-Type"] = "application/json"
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def error(self, status: int, code: str, **headers: str) -> None:
        content = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
        self.answer(status, content, Content_Type="application/json", **headers)

    def body(self) -> bytes:
        size = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(size)
        self.state.received += len(content)
        if len(content) != size:
            raise ConnectionError("short body")
        return content

    # -- routing ------------------------------------------------------------------------------------------

    def serve(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        self.state.seen.append(Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, size))
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.state.interfere and self.state.interfere(self, self.command, parts.path):
            return
        if parts.path == "/token":
            self.token()
            return
        if parts.path == "/v2/" and self.authorized("", "pull"):
            self.answer(200, b"{}")
            return
        for kind, pattern in _ROUTES.items():
            match = pattern.match(parts.path)
            if match:
                if self.authorized(match.group(1), "pull" if self.command in ("GET", "HEAD") else "push"):
                    getattr(self, kind)(*match.groups())
                return
        if parts.path != "/v2/":
            self.error(404, "NOT_FOUND")

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve

    # -- who is it ----------------------------------------------------------------------------------------

    def authorized(self, name: str, action: str) -> bool:
        modes = self.state.modes
        sent = self.headers.get("Authorization", "")
        if modes.basic:
            wanted = "Basic " + base64.b64encode(":".join(modes.basic).encode()).decode()
            if sent != wanted:
                self.body()
                self.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="test"')
            return sent == wanted
        if modes.bearer:
            granted = self.state.tokens.get(sent.removeprefix("Bearer "))
            if granted is not None and (not name or f"{name}:{action}" in granted):
                return True
            self.body()
            challenge = f'Bearer realm="http://{self.state.address}/token",service="test, registry"'
            if name:
                challenge += f',scope="repository:{name}:{action}"'
            self.error(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
            return False
        return True

    def token(self) -> None:
        modes = self.state.modes
        assert modes.bearer
        user, password = modes.bearer
        scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
        if self.command == "POST":
            form = {k: v[0] for k, v in parse_qs(self.body().decode()).items()}
            scopes = form.get("scope", "").split()
            if form["grant_type"] == "refresh_token":
                known = form.get("refresh_token") == password
            else:
                known = (form.get("username"), form.get("password")) == (user, password)
        else:
            if modes.token_form != "get":
                self.error(405, "UNSUPPORTED")
                return
            sent = self.headers.get("Authorization", "")
            known = sent == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            if sent and not known:
                self.error(401, "UNAUTHORIZED")
                return
        granted = set()
        for scope in scopes:
            _, name, actions = scope.split(":")
            granted |= {f"{name}:{a}" for a in actions.split(",") if known or (modes.anonymous_pull and a == "pull")}
        token = secrets.token_hex(8)
        self.state.tokens[token] = granted
        self.answer(200, json.dumps({"token": token, "expires_in": modes.token_life}).encode())

    # -- manifests ----------------------------------------------------------------------------------------

    def manifest(self, name: str, reference: str) -> None:
        with self.state.lock:
            digest = reference if ":" in reference else self.state.tags.get((name, reference), "")
            found = self.state.manifests.get((name, digest))
        if self.command == "PUT":
            self.put_manifest(name, reference)
        elif found is None:
            self.error(404, "MANIFEST_UNKNOWN")
        elif self.command == "DELETE":
            with self.state.lock:
                if ":" in reference:
                    del self.state.manifests[name, digest]
                else:
                    del self.state.tags[name, reference]
            self.answer(202)
        elif found[0] not in self.headers.get("Accept", ""):
            self.error(404, "MANIFEST_UNKNOWN")
        else:
            named = self.command != "HEAD" or self.state.modes.head_digest
            extra = {"Docker_Content_Digest": digest} if named else {}
            self.answer(200, found[1], Content_Type=found[0], **extra, Content_Length=str(len(found[1])))

    def put_manifest(self, name: str, reference: str) -> None:
        content = self.body()
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        media_type = self.headers.get("Content-Type", "")
        if ":" in reference and reference != digest:
            self.error(400, "DIGEST_INVALID")
            return
        document = json.loads(content)
        if media_type not in MANIFEST_TYPES | INDEX_TYPES or document.get("mediaType", media_type) != media_type:
            self.error(400, "MANIFEST_INVALID")
            return
        with self.state.lock:
            if media_type in INDEX_TYPES:
                absent = [m for m in document["manifests"] if (name, m["digest"]) not in self.state.manifests]
            else:
                needed = [document["config"], *document["layers"]]
                absent = [b for b in needed if (name, b["digest"]) not in self.state.blobs]
            if absent and not self.is_fallback(reference):
                self.error(404, "MANIFEST_BLOB_UNKNOWN")
                return
            self.state.manifests[name, digest] = (media_type, content)
            if ":" not in reference:
                self.state.tags[name, reference] = digest
        extra = {"Docker_Content_Digest": digest, "Location": f"/v2/{name}/manifests/{digest}"}
        if self.state.modes.referrers and document.get("subject"):
            extra["OCI_Subject"] = document["subject"]["digest"]
        self.answer(201, **extra)

    @staticmethod
    def is_fallback(reference: str) -> bool:
        return bool(re.match(r"sha256-[0-9a-f]{64}\Z", reference))

    def tags(self, name: str) -> None:
        tags = sorted(tag for repository, tag in self.state.tags if repository == name)
        if not any(repository == name for repository, _ in [*self.state.manifests, *self.state.blobs]):
            self.error(404, "NAME_UNKNOWN")
            return
        self.page("tags", [t for t in tags if t > self.query.get("last", "")], f"/v2/{name}/tags/list", {"name": name})

    def referrers(self, name: str, digest: str) -> None:
        if not self.state.modes.referrers:
            self.answer(404, b"404 page not found\n", Content_Type="text/plain")
            return
        found = []
        with self.state.lock:
            manifests = [(d, *m) for (repository, d), m in self.state.manifests.items() if repository == name]
        for own, media_type, content in sorted(manifests):
            document = json.loads(content)
            if (document.get("subject") or {}).get("digest") == digest:
                kind = document.get("artifactType") or document["config"]["mediaType"]
                entry = {"mediaType": media_type, "digest": own, "size": len(content), "artifactType": kind}
                if document.get("annotations"):
                    entry["annotations"] = document["annotations"]
                found.append(entry)
        extra = {}
        wanted = self.query.get("artifactType")
        if wanted:
            found = [entry for entry in found if entry["artifactType"] == wanted]
            extra["OCI_Filters_Applied"] = "artifactType"
        found = [entry for entry in found if entry["digest"] > self.query.get("last", "")]
        self.page(
            "manifests",
            found,
            f"/v2/{name}/referrers/{digest}",
            {"schemaVersion": 2, "mediaType": INDEX},
            Content_Type=INDEX,
            **extra,
        )

    def page(self, key: str, items: list, path: str, document: dict, **headers: str) -> None:
        size = min(self.state.modes.page, int(self.query.get("n", self.state.modes.page)))
        shown = items[:size]
        if len(items) > size:
            last = shown[-1]["digest"] if isinstance(shown[-1], dict) else shown[-1]
            wish = f"&artifactType={quote(self.query['artifactType'])}" if "artifactType" in self.query else ""
            headers["Link"] = f'<{path}?n={size}&last={quote(last)}{wish}>; rel="next"'
        self.answer(200, json.dumps({**document, key: shown}).encode(), **headers)

    # -- blobs --------------------------------------------------------------------------------------------

    def blob(self, name: str, digest: str) -> None:
        content = self.state.blobs.get((name, digest))
        if content is None:
            self.error(404, "BLOB_UNKNOWN")
        elif self.command == "GET" and self.state.modes.redirect_blobs_to:
            place = f"{self.state.modes.redirect_blobs_to}/storage/{name}/{digest}?signature=SIGNED"
            self.answer(307, Location=place)
        else:
            start = re.match(r"bytes=(\d+)-\Z", self.headers.get("Range", ""))
            skip = int(start.group(1)) if start else 0
            self.answer(
                206 if start else 200,
                content[skip:],
                Content_Type="application/octet-stream",
                Docker_Content_Digest=digest,
                Content_Length=str(len(content) - skip),
            )

    def upload(self, name: str, key: str) -> None:
        if self.command == "POST":
            self.begin(name)
            return
        if key not in self.state.uploads:
            self.body()
            self.error(404, "BLOB_UPLOAD_UNKNOWN")
            return
        getattr(self, f"upload_{self.command.lower()}")(name, key)

    def begin(self, name: str) -> None:
        self.body()
        if not self.state.modes.create:
            self.error(404, "NAME_UNKNOWN")
            return
        source = (self.query.get("from", ""), self.query.get("mount", ""))
        with self.state.lock:
            if self.state.modes.mount and source in self.state.blobs:
                self.state.blobs[name, source[1]] = self.state.blobs[source]
                self.answer(201, Location=f"/v2/{name}/blobs/{source[1]}", Docker_Content_Digest=source[1])
                return
        key = secrets.token_hex(8)
        self.state.uploads[key] = bytearray()
        place = f"{self.state.modes.uploads_to}/v2/{name}/blobs/uploads/{key}?state=a%3Db"
        self.answer(202, Location=place, Range="0-0")

    def where(self, name: str, key: str) -> dict[str, str]:
        size = len(self.state.uploads[key])
        return {"Location": f"/v2/{name}/blobs/uploads/{key}?state=a%3Db", "Range": f"0-{max(size - 1, 0)}"}

    def upload_get(self, name: str, key: str) -> None:
        self.answer(204, **self.where(name, key))

    def upload_patch(self, name: str, key: str) -> None:
        held = self.state.uploads[key]
        if not self.state.modes.parts:
            self.body()
            self.error(405, "UNSUPPORTED")
            return
        given = re.match(r"(\d+)-(\d+)\Z", self.headers.get("Content-Range", ""))
        size = int(self.headers["Content-Length"])
        if given and (int(given.group(1)) != len(held) or int(given.group(2)) - int(given.group(1)) + 1 != size):
            self.body()
            self.answer(416, **self.where(name, key))
            return
        left = size
        while left:  # what has arrived is kept, also when the connection breaks
            piece = self.rfile.read1(min(left, 65536))
            if not piece:
                raise ConnectionError("short body")
            held += piece
            left -= len(piece)
            self.state.received += len(piece)
        self.answer(202, **self.where(name, key))

    def upload_put(self, name: str, key: str) -> None:
        content = self.body()
        held = self.state.uploads[key]
        if content and not held and not self.state.modes.whole:
            self.error(405, "UNSUPPORTED")
            return
        whole = bytes(held) + content
        digest = "sha256:" + hashlib.sha256(whole).hexdigest()
        if digest != self.query.get("digest"):
            self.error(400, "DIGEST_INVALID")
            return
        with self.state.lock:
            self.state.blobs[name, digest] = whole
            del self.state.uploads[key]
        self.answer(201, Location=f"/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)


class StorageHandler(Handler):
    """Where redirected blob downloads end: it refuses any Authorization, as S3 does."""

    def serve(self) -> None:
        parts = urlsplit(self.path)
        self.state.seen.append(Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, 0))
        if self.headers.get("Authorization"):
            self.error(400, "INVALID_AUTHORIZATION")
            return
        name, _, digest = parts.path.removeprefix("/storage/").rpartition("/")
        content = self.state.blobs.get((name, digest))
        if content is None or parts.query != "signature=SIGNED":
            self.error(404, "NOT_FOUND")
            return
        self.answer(200, content, Content_Type="binary/octet-stream")

    do_GET = do_HEAD = serve


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None: ...


@contextmanager
def serving(
    modes: Modes | None = None, *, handler: type[Handler] = Handler, state: State | None = None
) -> Iterator[State]:
    """Run a registry on a free port of loopback; `state.address` is its host and port."""
    state = state or State(modes or Modes())
    server = _Server(("127.0.0.1", 0), type("Bound", (handler,), {"state": state}))
    state.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def storage(state: State) -> Iterator[State]:
    """A second origin that serves the blobs of `state` to whoever has the signed URL."""
    mirror = State(state.modes, blobs=state.blobs)
    with serving(handler=StorageHandler, state=mirror):
        yield mirror


@contextmanager
def upload_storage(state: State) -> Iterator[State]:
    """A second origin that takes the blobs of `state`; what is sent to it is kept apart."""
    other = State(Modes(), blobs=state.blobs, uploads=state.uploads)
    with serving(state=other):
        state.modes.uploads_to = f"http://{other.address}"
        yield other
