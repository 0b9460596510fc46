"""Builders on other machines, as people name them: in pkgtool.yml, or with `--builder`. Nothing is contacted here.

tcp://HOST:PORT            BuildKit with mutual TLS (ca, cert, key)
unix:///PATH               BuildKit on this machine
ssh://[USER@]HOST[:PORT]   BuildKit on a host where `buildctl dial-stdio` answers
kube-pod://POD             BuildKit in a pod, or kube-pod://deployment/NAME (?namespace=…&context=…&container=…)
docker-container://NAME    BuildKit in a container of this machine's Docker
buildx://NAME              all nodes of a buildx builder
docker+unix:///PATH        a Docker engine, likewise docker+tcp://HOST:PORT and docker+ssh://[USER@]HOST
docker-context://NAME      a Docker context
local                      this machine's own engine
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pkgtool.values import Platform

DEFAULT_JOBS = 2
LOCAL = "local"
_NEEDS_HOST = ("tcp", "ssh", "docker+tcp", "docker+ssh", "kube-pod", "docker-container", "docker-context", "buildx")
_NEEDS_PATH = ("unix", "docker+unix")
_NEEDS_PORT = ("tcp", "docker+tcp")
_ON_NETWORK = ("tcp", "ssh", "docker+tcp", "docker+ssh")
SCHEMES = (*_NEEDS_HOST, *_NEEDS_PATH)
_TRUST_OPTIONS = {"ca": "ca", "cert": "certificate", "key": "key", "server-name": "server_name"}
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "tcp": ("tls",),
    "docker+tcp": ("tls",),
    "kube-pod": ("namespace", "context", "container", "kubeconfig"),
    "docker-container": ("host", "context"),
}


@dataclass(frozen=True, slots=True)
class Trust:
    """Paths of PEM files: who may have signed the worker's certificate, and what we show it ourselves.

    `server_name` is the name that the worker's certificate must have, instead of the host in its address.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a builder is. `host` is also the name of a pod, container, context or buildx builder."""

    scheme: str
    host: str = ""
    port: int = 0
    user: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_docker(self) -> bool:
        return self.scheme.startswith("docker+") or self.scheme == "docker-context"

    @property
    def encrypted(self) -> bool:
        """Whether it is reached over TLS (`?tls=off` says that the network itself is trusted)."""
        return self.scheme in _NEEDS_PORT and self.options.get("tls") != "off"

    def __str__(self) -> str:
        if self.scheme == LOCAL:
            return LOCAL
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host and self.scheme in _ON_NETWORK else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{user}{host}{port}{self.path}"


@dataclass(frozen=True, slots=True)
class Node:
    """A builder and what it is for: these platforms (none: what it says itself), so many steps at a time."""

    name: str
    endpoint: Endpoint
    platforms: tuple[Platform, ...] = ()
    trust: Trust = Trust()
    jobs: int = DEFAULT_JOBS


def parse_endpoint(text: str) -> tuple[Endpoint, Trust, int]:
    """An address with its options: TLS files, and how many steps at a time (0: not said).

    Raises `ValueError` with a message for people.
    """
    if text == LOCAL:
        return Endpoint(LOCAL), Trust(), 0
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError(f"{text!r} is not the address of a builder: {', '.join(f'{s}://' for s in SCHEMES)} or local")
    parts = urlsplit(text)
    try:
        port = parts.port or 0
    except ValueError as problem:
        raise ValueError(f"{text!r}: {problem}") from problem
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    trust = Trust(**{attribute: options.pop(name, "") for name, attribute in _TRUST_OPTIONS.items()})
    jobs = _count(options.pop("jobs", ""), text)
    unknown = [name for name in options if name not in _OPTIONS.get(scheme, ())]
    if unknown:
        raise ValueError(f"{text!r}: there is no option {unknown[0]!r} for {scheme}://")
    path = unquote(parts.path)
    if scheme in _ON_NETWORK:
        endpoint = Endpoint(scheme, parts.hostname or "", port, parts.username or "", path, options)
    else:  # urlsplit lowers the case of hosts, and names of pods and contexts are no hosts
        endpoint = Endpoint(scheme, parts.netloc.rpartition("@")[2], path=path, options=options)
    _check(endpoint, text)
    return endpoint, trust, jobs


def _check(endpoint: Endpoint, text: str) -> None:
    if endpoint.scheme in _NEEDS_HOST and not endpoint.host:
        raise ValueError(f"{text!r} names no host")
    if endpoint.host.startswith("-"):
        raise ValueError(f"{text!r}: a host can't begin with a dash")
    if endpoint.scheme in _NEEDS_PORT and not endpoint.port:
        raise ValueError(f"{text!r} names no port; {'2376' if endpoint.is_docker else '1234'} is usual")
    if endpoint.scheme in _NEEDS_PATH and (endpoint.host or not endpoint.path.startswith("/")):
        raise ValueError(f"{text!r} names no absolute path: {endpoint.scheme}:///run/…")
    if endpoint.options.get("tls", "off") != "off":
        raise ValueError(f"{text!r}: the only meaning that tls can have is off")


def _count(value: str, text: str) -> int:
    if value and (not value.isdigit() or int(value) < 1):
        raise ValueError(f"{text!r}: jobs is {value!r}, not a number of at least 1")
    return int(value or 0)


def parse_builder(text: str) -> Node:
    """`[PLATFORM[,PLATFORM…]=]URL` as on the command line. Raises `ValueError` with a message for people."""
    before, equals, after = text.partition("=")
    if equals and "://" not in before and before != LOCAL:
        platforms = tuple(Platform.parse(part) for part in before.split(","))
        address = after
    else:
        platforms, address = (), text
    endpoint, trust, jobs = parse_endpoint(address)
    return Node(str(endpoint).partition("://")[2] or LOCAL, endpoint, platforms, trust, jobs or DEFAULT_JOBS)


def builder_text(node: Node) -> str:
    """What `parse_builder` reads as this node."""
    trust = {name: getattr(node.trust, attribute) for name, attribute in _TRUST_OPTIONS.items()}
    jobs = {"jobs": str(node.jobs)} if node.jobs != DEFAULT_JOBS else {}
    given = {**node.endpoint.options, **{name: value for name, value in trust.items() if value}, **jobs}
    address = str(replace(node.endpoint, path=quote(node.endpoint.path)))
    platforms = ",".join(map(str, node.platforms))
    return f"{platforms}{'=' if platforms else ''}{address}{'?' if given else ''}{urlencode(given, safe='/:')}"


def merge(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The same builder named for several platforms is one node, whose capacity all of them share."""
    found: dict[tuple[object, ...], Node] = {}
    for node in nodes:
        key = (str(node.endpoint), tuple(sorted(node.endpoint.options.items())), node.trust)
        known = found.get(key)
        if known is None:
            found[key] = node
        else:
            both = (*known.platforms, *node.platforms) if known.platforms and node.platforms else ()
            found[key] = replace(known, platforms=tuple(dict.fromkeys(both)), jobs=max(known.jobs, node.jobs))
    return tuple(found.values())
