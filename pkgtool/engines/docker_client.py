"""How a Docker engine is reached: by the environment, by an address, by a context's name (the docker SDK connects)."""

from __future__ import annotations

import os
import socket
from typing import Any
from urllib.parse import urlsplit

from pkgtool.engines import docker_context
from pkgtool.engines.buildkit.tunnel import Tunnel, ssh_command
from pkgtool.engines.interface import EngineLost
from pkgtool.errors import EngineError
from pkgtool.nodes import Endpoint, Trust

PROBE_SECONDS = 5
_DIAL = ("docker", "system", "dial-stdio")
# A machine that loses its power never says goodbye: after a minute without an answer the kernel ends the connection.
_NOTICE_SILENCE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
]


def open_client(where: dict[str, Any]) -> Any:
    """A client of an engine that answers. Raises what `unreachable` lists."""
    address = str(where.get("base_url", ""))
    if address.startswith("ssh://"):
        return _through(Tunnel(ssh_command(urlsplit(address), _DIAL)))
    if address.startswith("unix://"):
        _knock(address.removeprefix("unix://"))
    return _client(where)


def _client(where: dict[str, Any]) -> Any:
    import docker

    given: dict[str, Any] = {**where, "version": "auto", "timeout": PROBE_SECONDS}
    client: Any = _untrusting(docker.APIClient)(**given)
    if client.base_url.startswith(("http://", "https://")) and "localunixsocket" not in client.base_url:
        client.get_adapter(client.base_url).poolmanager.connection_pool_kw["socket_options"] = _NOTICE_SILENCE
    return client


def _untrusting(base: type[Any]) -> type[Any]:
    """The SDK's client that takes no certificates from $REQUESTS_CA_BUNDLE in the place of those it was given."""

    class Client(base):  # type: ignore[misc]
        trust_env = property(lambda _self: False, lambda _self, _value: None)

    return Client


def _through(tunnel: Tunnel) -> Any:
    """A client of the engine at the other end of a tunnel, which ends with it. The SDK's own ssh needs paramiko."""
    try:
        client = _client({"base_url": f"unix://{tunnel.address}"})
    except BaseException as problem:
        complaint = tunnel.complaint()
        tunnel.close()
        if complaint and isinstance(problem, unreachable()):
            raise OSError(complaint) from problem
        raise
    hang_up = client.close

    def close() -> None:
        hang_up()
        tunnel.close()

    client.close = close
    return client


def _knock(path: str) -> None:
    """Raise `OSError` unless somebody listens. Where nobody does, the SDK would leave its socket open."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_SECONDS)
        probe.connect(path)


def unreachable() -> tuple[type[Exception], ...]:
    """What the SDK raises if no engine answers."""
    import docker.errors
    import requests

    return (docker.errors.DockerException, requests.RequestException, OSError)


def from_environment() -> dict[str, Any]:
    """DOCKER_HOST, else the current context, else the usual socket."""
    if os.environ.get("DOCKER_HOST"):
        from docker.utils import kwargs_from_env

        return dict(kwargs_from_env())
    return _of_context(docker_context.read(docker_context.current()))


def from_endpoint(endpoint: Endpoint, trust: Trust) -> dict[str, Any]:
    """A docker+…:// or docker-context:// address. Raises `EngineError` for an unknown context or unusable TLS files."""
    if endpoint.scheme == "docker-context":
        return _of_context(docker_context.read(endpoint.host))
    url = str(endpoint).removeprefix("docker+")
    return {"base_url": url, "tls": _tls(trust)} if endpoint.encrypted else {"base_url": url}


def lost(endpoint: Endpoint, problem: Exception) -> EngineError:
    """What it means that no engine answers: a certificate that was refused, or nobody there."""
    text = str(problem)
    if "certificate" in text.lower():
        return EngineError(
            f"{endpoint}: the certificates don't fit: {_innermost(problem)}",
            hint="'ca' must have signed the engine's certificate, and the engine's --tlscacert must have signed 'cert'",
        )
    return EngineLost(f"{endpoint} does not answer: {_innermost(problem)}")


def _of_context(context: docker_context.DockerContext | None) -> dict[str, Any]:
    if context is None:
        return {"base_url": "unix:///var/run/docker.sock"}
    if not context.host.startswith("tcp://") or not any((context.trust.ca, context.trust.certificate)):
        return {"base_url": context.host}
    return {"base_url": context.host, "tls": _tls(context.trust, verify=context.verify)}


def _tls(trust: Trust, *, verify: bool = True) -> Any:
    from docker.errors import TLSParameterError
    from docker.tls import TLSConfig

    if verify and not trust.ca:
        raise EngineError(
            "a docker+tcp:// engine needs the certificate authority that signed its certificate",
            hint="name it: 'ca: FILE' in pkgtool.yml or ?ca=FILE in --builder; ?tls=off for a network that is trusted",
        )
    pair = (trust.certificate, trust.key or trust.certificate) if trust.certificate else None
    try:
        return TLSConfig(client_cert=pair, ca_cert=trust.ca or None, verify=verify)
    except TLSParameterError as problem:
        raise EngineError(f"the TLS files of a docker+tcp:// engine can't be used: {trust}") from problem


def _innermost(problem: BaseException) -> str:
    """The reason at the bottom of a chain of wrapped errors."""
    seen: BaseException = problem
    while True:
        inner = next((a for a in seen.args if isinstance(a, BaseException)), None) or getattr(seen, "reason", None)
        inner = inner if isinstance(inner, BaseException) else seen.__cause__
        if not isinstance(inner, BaseException):
            return str(getattr(seen, "verify_message", "") or getattr(seen, "strerror", "") or seen)
        seen = inner
