"""The first words with a worker: is there a BuildKit, and do both sides trust each other?

gRPC reports a refused certificate as "connection failed". So before the real connection one is made by hand, as far
as the peer's first frame, and what goes wrong there is said in plain words. (In TLS 1.3 a server refuses a client's
certificate only after the client's handshake is done: the first read is what tells.)
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

from pkgtool.engines.interface import EngineLost
from pkgtool.errors import EngineError
from pkgtool.nodes import Endpoint, Trust

CONNECT_SECONDS = 10.0
# HTTP/2's connection preface and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5).
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS_TYPE = 4
_FRAME_HEADER = 9
_TLS_ALERT = 0x15


def check(endpoint: Endpoint, trust: Trust) -> None:
    """Connect to a tcp:// or unix:// worker, greet it, and hang up.

    Raises `EngineLost` if it can't be reached now, `EngineError` if it is not what it should be or refuses us.
    """
    try:
        with contextlib.closing(_connect(endpoint)) as plain:
            if not endpoint.encrypted:
                _greet(plain, endpoint)
                return
            with contextlib.closing(_encrypted(plain, endpoint, trust)) as secure:
                _greet(secure, endpoint)
    except TimeoutError as problem:
        raise EngineLost(f"{endpoint} does not answer within {CONNECT_SECONDS:g} s") from problem
    except OSError as problem:
        raise EngineLost(f"{endpoint} can't be reached: {problem.strerror or problem}") from problem


def context(trust: Trust) -> ssl.SSLContext:
    """What we accept and what we show. Raises `EngineError` for files that can't be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.set_alpn_protocols(["h2"])
    if not trust.ca:
        raise EngineError(
            "a tcp:// worker needs the certificate authority that signed its certificate",
            hint="name it: 'ca: FILE' in pkgtool.yml or ?ca=FILE in --builder; ?tls=off for a network that is trusted",
        )
    _load(trust.ca, "the CA certificate", lambda: made.load_verify_locations(trust.ca))
    if trust.certificate:
        key = trust.key or trust.certificate
        # Without a callback, OpenSSL would ask for the passphrase of an encrypted key on the terminal.
        _load(key, "the client key", lambda: made.load_cert_chain(trust.certificate, key, password=lambda: ""))
    return made


def read(path: str) -> bytes:
    """A PEM file. Raises `EngineError` if it can't be read."""
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        raise EngineError(f"{path} can't be read: {problem.strerror}") from problem


def _load(path: str, what: str, load: object) -> None:
    assert callable(load)
    read(path)
    try:
        load()
    except (ssl.SSLError, ValueError, OSError) as problem:
        reason = getattr(problem, "reason", None) or problem
        raise EngineError(
            f"{what} {path} can't be used: {str(reason).replace('_', ' ').lower()}",
            hint="PEM files are needed, the key without a passphrase",
        ) from problem


def _connect(endpoint: Endpoint) -> socket.socket:
    if endpoint.scheme == "unix":
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(CONNECT_SECONDS)
        try:
            plain.connect(endpoint.path)
        except OSError:
            plain.close()
            raise
        return plain
    return socket.create_connection((endpoint.host, endpoint.port), timeout=CONNECT_SECONDS)


def _encrypted(plain: socket.socket, endpoint: Endpoint, trust: Trust) -> ssl.SSLSocket:
    name = trust.server_name or endpoint.host
    try:
        return context(trust).wrap_socket(plain, server_hostname=name)
    except ssl.SSLCertVerificationError as problem:
        raise EngineError(
            f"{endpoint} shows a certificate that is not trusted: {problem.verify_message}",
            hint=f"it must be for the name {name} and signed by {trust.ca}; to see it: "
            f"openssl s_client -connect {endpoint.host}:{endpoint.port} -showcerts",
        ) from problem
    except ssl.SSLError as problem:
        raise EngineError(
            f"{endpoint} does not agree on TLS: {_reason(problem)}",
            hint="is it buildkitd's TLS port (grpc.tls in buildkitd.toml)?",
        ) from problem


def _greet(stream: socket.socket, endpoint: Endpoint) -> None:
    answer = b""
    try:
        stream.sendall(_GREETING)
        while len(answer) < _FRAME_HEADER:
            chunk = stream.recv(_FRAME_HEADER - len(answer))
            if not chunk:
                break
            answer += chunk
    except ssl.SSLError as problem:
        raise EngineError(
            f"{endpoint} refuses our certificate: {_reason(problem)}",
            hint="'cert' and 'key' must be a client certificate signed by the CA that its buildkitd.toml names "
            "under grpc.tls.ca",
        ) from problem
    if len(answer) == _FRAME_HEADER and answer[3] == _SETTINGS_TYPE:
        return
    if answer.startswith(b"HTTP/1."):
        raise EngineError(
            f"{endpoint} is no BuildKit: it answers as a Docker engine does",
            hint=f"for a Docker engine: docker+{endpoint}",
        )
    if answer[:1] == bytes((_TLS_ALERT,)):
        raise EngineError(f"{endpoint} wants TLS", hint="name its ca, cert and key")
    if not answer:
        advice = (
            "" if endpoint.encrypted or endpoint.scheme == "unix" else "; if it wants TLS, name its ca, cert and key"
        )
        raise EngineLost(f"{endpoint} closes the connection at once{advice}")
    raise EngineError(f"{endpoint} is no BuildKit: it answers {answer!r}")


def _reason(problem: ssl.SSLError) -> str:
    return (problem.reason or str(problem)).replace("_", " ").lower()
