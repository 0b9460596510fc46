"""A BuildKit worker as an engine."""

from __future__ import annotations

import re
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkgtool.cancel import Cancellation
from pkgtool.engines.buildkit.channel import Channel
from pkgtool.engines.buildkit.content import Exchange
from pkgtool.engines.buildkit.services import services
from pkgtool.engines.buildkit.session import Session
from pkgtool.engines.buildkit.solve import NO_CACHE, RegistryCache, solve_request
from pkgtool.engines.buildkit.wire import Message, message
from pkgtool.engines.buildkit_trace import TraceReader
from pkgtool.engines.context_archive import pack
from pkgtool.engines.interface import BuildRequest, EngineInfo, LineSink
from pkgtool.errors import BuildError, EngineError, Interrupted
from pkgtool.nodes import Node
from pkgtool.oci.archive import write_docker_archive
from pkgtool.oci.documents import MANIFEST, Descriptor
from pkgtool.oci.store import Store
from pkgtool.values import Digest, Platform

if TYPE_CHECKING:
    import grpc

_MINIMUM = (0, 13)
_LOOK_SECONDS = 1.0
_LAST_WORDS_SECONDS = 5.0
_RESULT = "containerimage.digest"


class BuildKitEngine:
    """A worker that answered."""

    def __init__(self, store: Store, node: Node, cache: RegistryCache = NO_CACHE) -> None:
        """Raises `EngineLost` if the worker can't be reached, `EngineError` if it can't be used."""
        self._store = store
        self._cache = cache
        self._channel = Channel(node.endpoint, node.trust)
        try:
            self.info = _describe(self._channel.call("ListWorkers"), node)
        except BaseException:
            self._channel.close()
            raise

    def build(self, request: BuildRequest, output: Path, *, log: LineSink, cancel: Cancellation) -> EngineInfo:
        """See `Engine.build`."""
        cancel.check()
        with self._store.scratch("solve") as scratch:
            exchange = Exchange(scratch / "exchange")
            exchange.offer(request.parents, self._store.layout)
            context = scratch / "context.tar"
            pack(request.context, context)
            session = Session(self._channel, services(context, exchange, _login))
            try:
                answer = self._solve(request, session, log, cancel)
            finally:
                session.close()
            cancel.check()
            _write_result(answer, exchange, output)
        return self.info

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def _solve(self, request: BuildRequest, session: Session, log: LineSink, cancel: Cancellation) -> Message:
        import grpc

        reference = uuid.uuid4().hex
        solving = self._channel.start("Solve", solve_request(request, reference, session.id, self._cache))
        with cancel.on_request(solving.cancel), _Follower(self._channel, reference, log):
            try:
                return Message(_wait(solving, session))
            except grpc.FutureCancelledError as problem:
                raise Interrupted() from problem
            except grpc.RpcError as problem:
                if cancel.requested:
                    raise Interrupted() from problem
                raise self._meaning(problem, session) from problem
            finally:
                solving.cancel()

    def _meaning(self, problem: grpc.RpcError, session: Session) -> EngineError | BuildError:
        """Why a build ended: the worker went away, or a step failed."""
        failure = self._channel.failure(problem)
        if type(failure) is not EngineError:
            return failure
        # A worker that is being stopped reports its killed steps as failed. It says so before it hangs up.
        session.check()
        self._channel.call("ListWorkers", seconds=_LAST_WORDS_SECONDS)
        return BuildError(problem.details() or failure.message)


def _wait(solving: Any, session: Session) -> bytes:
    import grpc

    while True:
        try:
            answer: bytes = solving.result(timeout=_LOOK_SECONDS)
        except grpc.FutureTimeoutError:
            session.check()
        else:
            return answer


class _Follower:
    """Hands the lines of a running build to a sink, from a thread of its own, until the build is over."""

    def __init__(self, channel: Channel, reference: str, log: LineSink) -> None:
        self._records = channel.receive("Status", message((1, reference)))
        self._log = log
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(_LAST_WORDS_SECONDS)
        self._records.cancel()
        self._thread.join()

    def _follow(self) -> None:
        import grpc

        trace = TraceReader()
        try:
            for record in self._records:
                for line in trace.lines(record):
                    self._log(line)
        except grpc.RpcError:
            pass  # the build's own answer says what there is to say
        for line in trace.rest():
            self._log(line)


def _describe(answer: bytes, node: Node) -> EngineInfo:
    """What a worker says of itself (ListWorkersResponse; the first worker is the one that builds Dockerfiles)."""
    workers = Message(answer).messages(1)
    if not workers:
        raise EngineError(f"{node.endpoint} has no worker", hint="see the log of its buildkitd")
    worker = workers[0]
    version = worker.inner(5).text(2)
    found = re.match(r"v?(\d+)\.(\d+)\.", version)
    number = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    if (0, 0) < number < _MINIMUM:
        raise EngineError(f"{node.endpoint} is BuildKit {version}", hint="0.13 or newer is needed: update it")
    platforms = [_platform(p) for p in worker.messages(3)]
    if not platforms:
        raise EngineError(f"{node.endpoint} names no platform that it could build for")
    native = platforms[0]
    foreign = tuple(dict.fromkeys(p for p in platforms if (p.os, p.arch) != (native.os, native.arch)))
    return EngineInfo("buildkit", version, native, str(node.endpoint), foreign, node.name)


def _platform(said: Message) -> Platform:
    return Platform(said.text(2), said.text(1), said.text(3))


def _write_result(answer: Message, exchange: Exchange, output: Path) -> None:
    digest = answer.mapping(1).get(_RESULT, "")
    try:
        path = exchange.layout.blob_path(Digest.parse(digest))
        manifest = Descriptor(MANIFEST, Digest.parse(digest), path.stat().st_size)
    except (ValueError, OSError) as problem:
        raise EngineError(f"the worker sent no result ({digest or 'no digest'})") from problem
    with output.open("wb") as out:
        write_docker_archive(exchange.layout, manifest, (), out)


def _login(host: str) -> tuple[str, str]:
    """User name and secret for a registry, as Docker's configuration has them."""
    from pkgtool.oci.registry import credentials
    from pkgtool.oci.registry.address import DOCKER_HUB

    found = credentials.find(DOCKER_HUB if host.endswith("docker.io") else host)
    if not found:
        return "", ""
    return ("", found.identity_token) if found.identity_token else (found.username, found.password)
