"""A Kubernetes API server as far as a real `kubectl` needs it: objects, what their Roles allow, and `exec` into pods.

What is applied is kept, and StatefulSets have the pods that they would have. `exec` (WebSocket, v5.channel.k8s.io)
runs the real buildctl beside the worker that plays the pod. Every request of an account is allowed by a Role that is
bound to it, or refused as Kubernetes refuses it (rbac.authorization.k8s.io/v1).
"""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

from tests.support.remote import websocket
from tests.support.remote.certificates import Authority

ADMIN = "the-admin"
_KINDS = {
    "": {"namespaces": "Namespace", "pods": "Pod", "serviceaccounts": "ServiceAccount", "secrets": "Secret"},
    "apps": {"statefulsets": "StatefulSet", "deployments": "Deployment"},
    "rbac.authorization.k8s.io": {"roles": "Role", "rolebindings": "RoleBinding"},
}
_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSED = 0, 1, 2, 3, 255


@dataclass(frozen=True)
class Place:
    """What a URL names. `verb` is RBAC's."""

    group: str
    resource: str
    namespace: str
    name: str
    part: str
    verb: str

    @property
    def kind(self) -> str:
        return _KINDS[self.group].get(self.resource, "")

    def __str__(self) -> str:
        part = f"/{self.part}" if self.part else ""
        return f"{self.verb} {self.resource}{part}{' ' if self.name else ''}{self.name}"


@dataclass
class Cluster:
    """The server's state. `workers` are the sockets of the BuildKit daemons that play pods, by the pod's name."""

    workers: Mapping[str, Path]
    buildctl: Path
    authority: Authority
    url: str = ""
    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    """By resource, namespace and name."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Who asked for what, in order."""

    def get(self, place: Place) -> dict[str, Any] | None:
        if place.resource == "pods":
            return next((pod for pod in self.pods(place.namespace) if pod["metadata"]["name"] == place.name), None)
        return self.objects.get((place.resource, place.namespace, place.name))

    def items(self, place: Place) -> list[dict[str, Any]]:
        if place.resource == "pods":
            return list(self.pods(place.namespace))
        return [o for (r, n, _), o in self.objects.items() if (r, n) == (place.resource, place.namespace)]

    def pods(self, namespace: str) -> Iterator[dict[str, Any]]:
        """The pods of StatefulSets: `NAME-0`, `NAME-1`, …"""
        for (resource, own, name), owner in list(self.objects.items()):
            if resource == "statefulsets" and own == namespace:
                template = owner["spec"]["template"]
                for number in range(owner["spec"]["replicas"]):
                    yield {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "metadata": {**template["metadata"], "name": f"{name}-{number}", "namespace": namespace},
                        "spec": template["spec"],
                        "status": {"phase": "Running"},
                    }

    def allows(self, user: str, place: Place) -> bool:
        if user == ADMIN:
            return True
        resource = f"{place.resource}/{place.part}" if place.part else place.resource
        # A cluster since 1.35 wants the right to create an exec, however it is opened; an older one that of its method.
        verbs = {place.verb, "create"} if place.part == "exec" else {place.verb}
        return any(
            place.group in rule["apiGroups"] and resource in rule["resources"] and verbs <= set(rule["verbs"])
            for rule in self._rules(user, place.namespace)
        )

    def _rules(self, user: str, namespace: str) -> Iterator[dict[str, Any]]:
        for (resource, own, _), binding in self.objects.items():
            if resource == "rolebindings" and own == namespace:
                subjects = [f"{s['namespace']}:{s['name']}" for s in binding["subjects"]]
                role = self.objects.get(("roles", namespace, binding["roleRef"]["name"]))
                if user in subjects and role:
                    yield from role["rules"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster
    processes: list[subprocess.Popen[bytes]]
    connections: list[socket.socket]

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.connection)

    def log_message(self, *_: object) -> None:
        """Requests are kept in `Cluster.asked`."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        discovered = _discovery(path)
        if discovered is not None:
            self._answer(200, discovered)
            return
        place = self._allowed("get" if _place(path, "get").name else "list")
        if place is None:
            return
        found = self.cluster.get(place) if place.name else None
        if place.name and found is None:
            self._fail(404, "NotFound", f'{place.resource} "{place.name}" not found')
        elif place.part == "exec":
            self._exec(place)
        elif found is not None:
            self._answer(200, found)
        else:
            items = self.cluster.items(place)
            self._answer(200, {"apiVersion": "v1", "kind": f"{place.kind}List", "metadata": {}, "items": items})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = self._allowed("create")
        if place is None:
            return
        if place.part == "token":  # asked for in protobuf
            token = {"token": f"{place.namespace}:{place.name}", "expirationTimestamp": "2100-01-01T00:00:00Z"}
            kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
            self._answer(201, {**kind, "metadata": {}, "spec": {}, "status": token})
        elif place.part:
            self._fail(405, "MethodNotAllowed", "this stand-in knows exec by WebSocket alone")
        else:
            body = json.loads(content)
            name = body["metadata"]["name"]
            self.cluster.objects[place.resource, place.namespace if place.resource != "namespaces" else "", name] = body
            self._answer(201, body)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._allowed("delete"):
            self._fail(405, "MethodNotAllowed", "nothing is ever deleted here")

    def _allowed(self, verb: str) -> Place | None:
        place = _place(urlsplit(self.path).path, verb)
        user = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.cluster.asked.append((user, str(place)))
        if self.cluster.allows(user, place):
            return place
        what = f"{place.resource}{'/' if place.part else ''}{place.part}"
        where = f'in API group "{place.group}" in the namespace "{place.namespace}"'
        said = f'User "{user}" cannot {verb} resource "{what}" {where}'
        self._fail(403, "Forbidden", f'{place.resource} "{place.name}" is forbidden: {said}')
        return None

    def _exec(self, place: Place) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        command = asked["command"]
        worker = self.cluster.workers.get(place.name)
        if self.headers.get("Upgrade", "").lower() != "websocket" or command[0] != "buildctl" or worker is None:
            self._fail(400, "BadRequest", f"there is no {command[0]} in {place.name}")
            return
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", websocket.accept_key(self.headers["Sec-WebSocket-Key"]))
        self.send_header("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        argv = [str(self.cluster.buildctl), "--addr", f"unix://{worker}", *command[1:]]
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            self.processes.append(process)
            with suppress(OSError):
                _carry(self.connection, process)
            process.kill()

    def _fail(self, code: int, reason: str, message: str) -> None:
        status = {"status": "Failure", "message": message, "reason": reason, "code": code}
        self._answer(code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, **status})

    def _answer(self, code: int, document: Mapping[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _carry(client: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Connect a program's three streams to a client until one of them has ended.

    In one thread: a TLS connection can't be read and written by two at once.
    """
    assert process.stdin
    assert process.stdout
    assert process.stderr
    streams = {process.stdout.fileno(): _STDOUT, process.stderr.fileno(): _STDERR}
    reader = websocket.Reader()
    while streams and not reader.closed:
        waiting = select.select([client, *streams], [], [])[0]
        for stream in [fd for fd in waiting if fd in streams]:
            piece = os.read(stream, 1 << 16)
            if piece:
                client.sendall(websocket.message(bytes([streams[stream]]) + piece))
            else:
                del streams[stream]
        if client in waiting and not _take(client, reader, process.stdin):
            return
    status = {"metadata": {}, "status": "Success" if process.wait() == 0 else "Failure"}
    client.sendall(websocket.message(bytes([_STATUS]) + json.dumps(status).encode()) + websocket.CLOSING)


def _take(client: socket.socket, reader: websocket.Reader, stdin: IO[bytes]) -> bool:
    """Hand on what the client has sent; answers False if it has gone."""
    content = client.recv(1 << 16)
    while getattr(client, "pending", int)():  # what TLS has taken off the wire already
        content += client.recv(1 << 16)
    for message in reader.feed(content):
        if message[0] == _STDIN:
            stdin.write(message[1:])
            stdin.flush()
        elif message[0] == _CLOSED and message[1:] == bytes([_STDIN]):
            stdin.close()
    client.sendall(reader.answers)
    reader.answers = b""
    return bool(content)


def _place(path: str, verb: str) -> Place:
    words = path.strip("/").split("/")
    group, rest = ("", words[2:]) if words[0] == "api" else (words[1], words[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource, name, part = (*rest, "", "")[:3]
    return Place(group, resource, namespace, name, part, verb)


def _discovery(path: str) -> dict[str, Any] | None:
    """What there is, as a client asks for it first (every account may)."""
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [
            {
                "name": group,
                "versions": [{"groupVersion": f"{group}/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": f"{group}/v1", "version": "v1"},
            }
            for group in _KINDS
            if group
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    for group, kinds in _KINDS.items():
        if path == (f"/apis/{group}/v1" if group else "/api/v1"):
            verbs = ["get", "list", "create", "delete"]
            resources = [
                {"name": name, "singularName": "", "namespaced": name != "namespaces", "kind": kind, "verbs": verbs}
                for name, kind in kinds.items()
            ]
            return {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": f"{group}/v1" if group else "v1",
                "resources": resources,
            }
    return None


@contextmanager
def serving(workers: Mapping[str, Path], buildctl: Path, authority: Authority) -> Iterator[Cluster]:
    """A running server, on loopback, whose certificate is signed; what it started is ended after the block."""
    cluster = Cluster(workers, buildctl, authority)
    pair = authority.issue("cluster", "127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    processes: list[subprocess.Popen[bytes]] = []
    connections: list[socket.socket] = []
    handler = type("Handler", (_Handler,), {"cluster": cluster, "processes": processes, "connections": connections})
    with _Server(("127.0.0.1", 0), handler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        cluster.url = f"https://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield cluster
        finally:
            server.shutdown()
            thread.join()
            for process in processes:
                process.kill()
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for all of them


def kubeconfig(cluster: Cluster, path: Path) -> Path:
    """A file with which `kubectl` is this cluster's administrator."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "here", "cluster": {"server": cluster.url, "certificate-authority": str(cluster.authority.ca)}}
        ],
        "users": [{"name": "admin", "user": {"token": ADMIN}}],
        "contexts": [{"name": "admin", "context": {"cluster": "here", "user": "admin"}}],
        "current-context": "admin",
    }
    path.write_text(json.dumps(document))
    return path
