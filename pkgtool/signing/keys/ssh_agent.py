"""Keys that an ssh-agent holds (draft-ietf-sshm-ssh-agent): `ssh-agent:SHA256:…` or `ssh-agent:COMMENT`.

An agent's signatures are those of the SSH protocol (RFC 4253, 5656, 8332, 8709): the hash follows from the key,
as it does here, so only their framing has to be taken off.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
from dataclasses import dataclass

from pkgtool.errors import SigningError
from pkgtool.signing.keys.signer import checked
from pkgtool.signing.public_key import Algorithm, PublicKey

_FAILURE = 5
_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_RSA_SHA2_256 = 2
_MAX_MESSAGE = 256 * 1024
_WAIT_SECONDS = 60.0
"""An agent may ask its owner to confirm."""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """A key as the agent lists it."""

    blob: bytes
    comment: str

    @property
    def kind(self) -> str:
        return _take(self.blob, 0)[0].decode("ascii", "replace")

    @property
    def fingerprint(self) -> str:
        """As `ssh-add -l` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


class AgentSigner:
    """One key of the agent. The private half stays there."""

    def __init__(self, agent: Agent, key: AgentKey) -> None:
        self._agent = agent
        self._key = key
        line = key.kind.encode() + b" " + base64.b64encode(key.blob)
        self.public_key = PublicKey.parse(line, what=f"the agent's key {key.comment or key.fingerprint}")

    def sign(self, message: bytes) -> bytes:
        flags = _RSA_SHA2_256 if self.public_key.algorithm is Algorithm.RSA else 0
        framed = self._agent.sign(self._key.blob, message, flags)
        kind, rest = _take(framed, 0)
        signature, _ = _take(framed, rest)
        if kind.startswith(b"ecdsa-"):
            signature = _to_der(signature)
        return checked(self.public_key, signature, message, by="the ssh-agent")


class Agent:
    """The agent behind SSH_AUTH_SOCK. Every request has a connection of its own."""

    def __init__(self, path: str) -> None:
        self._path = path

    def keys(self) -> list[AgentKey]:
        """All keys it holds. Raises `SigningError` if it can't be reached or does not answer as an agent."""
        answer = self._request(bytes([_REQUEST_IDENTITIES]), _IDENTITIES_ANSWER)
        try:
            (count,) = struct.unpack_from(">I", answer, 1)
            offset, found = 5, []
            for _ in range(count):
                blob, offset = _take(answer, offset)
                comment, offset = _take(answer, offset)
                found.append(AgentKey(blob, comment.decode("utf-8", "replace")))
        except (struct.error, ValueError) as problem:
            raise SigningError("the ssh-agent's answer is malformed") from problem
        return found

    def sign(self, blob: bytes, message: bytes, flags: int) -> bytes:
        """The framed signature."""
        request = bytes([_SIGN_REQUEST]) + _string(blob) + _string(message) + struct.pack(">I", flags)
        try:
            return _take(self._request(request, _SIGN_RESPONSE), 1)[0]
        except (struct.error, ValueError) as problem:
            raise SigningError("the ssh-agent's answer is malformed") from problem

    def _request(self, message: bytes, expected: int) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_WAIT_SECONDS)
                connection.connect(self._path)
                connection.sendall(_string(message))
                (length,) = struct.unpack(">I", _receive(connection, 4))
                if not 0 < length <= _MAX_MESSAGE:
                    raise SigningError(f"the ssh-agent's answer of {length} bytes is malformed")
                answer = _receive(connection, length)
        except OSError as problem:
            raise SigningError(
                f"the ssh-agent at {self._path} does not answer: {problem.strerror or problem}",
                hint="'ssh-add -l' shows whether it runs",
            ) from problem
        if answer[0] == _FAILURE:
            raise SigningError("the ssh-agent refused", hint="it may be locked, or its owner did not confirm")
        if answer[0] != expected:
            raise SigningError(f"the ssh-agent answered with message {answer[0]}, expected {expected}")
        return answer


def open_agent_key(selector: str) -> AgentSigner:
    """The key whose fingerprint or comment is `selector`; without one, the only key that there is.

    Raises `SigningError` if there is no agent, no such key, or more than one.
    """
    path = os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise SigningError("there is no ssh-agent: SSH_AUTH_SOCK is not set", hint='eval "$(ssh-agent)" && ssh-add KEY')
    agent = Agent(path)
    keys = agent.keys()
    found = [key for key in keys if not selector or selector in (key.fingerprint, key.comment)]
    if len(found) == 1:
        return AgentSigner(agent, found[0])
    listing = [f"{key.fingerprint} {key.comment} ({key.kind})" for key in keys]
    what = f"{selector!r}" if selector else "your choice"
    if found:
        raise SigningError(
            f"the ssh-agent has {len(found)} keys that match {what}",
            details=listing,
            hint="name one by its fingerprint: --key ssh-agent:SHA256:…",
        )
    raise SigningError(f"the ssh-agent has no key {what}", details=listing, hint="'ssh-add KEY' gives it one")


def _receive(connection: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        piece = connection.recv(length - len(content))
        if not piece:
            raise SigningError("the ssh-agent closed the connection in the middle of its answer")
        content += piece
    return content


def _string(content: bytes) -> bytes:
    """RFC 4251: a length in 32 bits, then the bytes."""
    return struct.pack(">I", len(content)) + content


def _take(content: bytes, offset: int) -> tuple[bytes, int]:
    """The string at `offset`, and where the next field begins. Raises `ValueError` or `struct.error`."""
    (length,) = struct.unpack_from(">I", content, offset)
    end = offset + 4 + length
    if end > len(content):
        raise ValueError("a string runs past the end")
    return content[offset + 4 : end], end


def _to_der(signature: bytes) -> bytes:
    """SSH's pair of integers (RFC 5656) as ASN.1 DER."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    r, offset = _take(signature, 0)
    s, _ = _take(signature, offset)
    return encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
