"""Docker with BuildKit, through the Engine API alone.

No `docker` program takes part: whichever is first on PATH may lack buildx, or be much newer than the engine. The
API's BuildKit build (`POST /build?version=2` with the context as the body) is the same from Docker 18.09 to today,
with the classic and with the containerd image store. The docker SDK makes the connection (contexts, TLS, ssh).
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from pkgtool.cancel import Cancellation
from pkgtool.engines import docker_client
from pkgtool.engines.buildkit_trace import TraceReader
from pkgtool.engines.context_archive import pack
from pkgtool.engines.interface import BuildRequest, EngineInfo, EngineLost, LineSink, Parent
from pkgtool.errors import BuildError, EngineError, Interrupted
from pkgtool.nodes import Node
from pkgtool.oci.archive import write_docker_archive
from pkgtool.oci.store import Store
from pkgtool.values import Platform

_RESULT_REPOSITORY = "localhost/pkgtool-result"
_ANSWER_SECONDS = 3600
_MINIMUM_API = (1, 39)


class DockerEngine:
    """A Docker engine that answered."""

    def __init__(self, client: Any, store: Store, node: str = "") -> None:
        self._client = client
        self._store = store
        self._loading = threading.Lock()
        self._loaded: dict[str, str] = {}
        version = client.version()
        if tuple(int(part) for part in version["ApiVersion"].split(".")) < _MINIMUM_API:
            raise EngineError(
                f"Docker {version['Version']} has no BuildKit", hint="Docker 18.09 or newer, or --engine buildah"
            )
        details = client.info()
        self._containerd_store = "io.containerd.snapshotter" in json.dumps(details.get("DriverStatus") or [])
        self.info = EngineInfo(
            "docker",
            version["Version"],
            Platform(version["Os"], version["Arch"]),
            "containerd image store" if self._containerd_store else f"{details.get('Driver', '?')} image store",
            node=node,
        )

    def build(self, request: BuildRequest, output: Path, *, log: LineSink, cancel: Cancellation) -> EngineInfo:
        """See `Engine.build`."""
        result = f"{_RESULT_REPOSITORY}:{uuid.uuid4().hex}"
        try:
            for parent in request.parents:
                cancel.check()
                self._load(parent)
            self._run(request, result, log, cancel)
            cancel.check()
            self._save(result, output)
        except BuildError:
            cancel.check()  # a step that was cancelled is reported as failed
            self._check_alive()
            raise
        except (OSError, HTTPException, self._api_error()) as problem:
            if cancel.requested:
                raise Interrupted() from problem
            raise self._meaning(problem) from problem
        finally:
            self._forget(result)
        return self.info

    def _meaning(self, problem: Exception) -> EngineError:
        """Whether the engine refused something, or went away."""
        import requests

        gone = isinstance(problem, requests.RequestException | HTTPException | ConnectionError | TimeoutError)
        if gone and not isinstance(problem, self._api_error()):
            return EngineLost(f"the Docker engine went away: {problem}")
        return EngineError(f"Docker did not do as asked: {problem}", hint="pkgtool doctor")

    def _check_alive(self) -> None:
        """Raises `EngineLost` if the engine is gone: one that is stopped reports its killed steps as failed."""
        try:
            self._client.ping()
        except docker_client.unreachable() as problem:
            raise EngineLost(f"the Docker engine went away: {problem}") from problem

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    # -- parents ----------------------------------------------------------------------------------------

    def _load(self, parent: Parent) -> None:
        reference = str(parent.reference)
        # Steps side by side stand on the same parents: the first one brings them.
        with self._loading:
            if self._has(reference, parent):
                return
            with self._store.scratch("load") as scratch:
                archive = scratch / "image.tar"
                with archive.open("wb") as out:
                    write_docker_archive(self._store.layout, parent.manifest, [parent.reference], out)
                with archive.open("rb") as content:
                    for answer in self._client.load_image(content):
                        if "error" in answer:
                            raise EngineError(f"Docker can't load {reference}: {answer['error']}")
            self._loaded[reference] = self._id(reference)

    def _has(self, reference: str, parent: Parent) -> bool:
        """Whether Docker has just this image under that name.

        With the classic image store an image's id is the digest of its configuration. With containerd's it is the
        digest of a manifest that the engine writes itself, so it is known only of what was loaded from here.
        """
        config = self._store.layout.manifest(parent.manifest).config.digest
        found = self._id(reference)
        return bool(found) and found in (str(config), self._loaded.get(reference))

    def _id(self, reference: str) -> str:
        """Docker's id of an image, or nothing if there is none of that name."""
        import docker.errors

        try:
            return str(self._client.inspect_image(reference)["Id"])
        except docker.errors.ImageNotFound:
            return ""

    # -- build ------------------------------------------------------------------------------------------

    def _run(self, request: BuildRequest, result: str, log: LineSink, cancel: Cancellation) -> None:
        build_id = uuid.uuid4().hex
        with self._store.scratch("send") as scratch:
            context = scratch / "context.tar"
            pack(request.context, context)
            with context.open("rb") as body:
                response = self._client._post(  # noqa: SLF001 - the SDK knows no BuildKit build
                    self._client._url("/build"),  # noqa: SLF001
                    params={**_parameters(request), "t": result, "buildid": build_id},
                    data=body,
                    headers={"Content-Type": "application/x-tar"},
                    stream=True,
                    timeout=_ANSWER_SECONDS,
                )
            with contextlib.closing(response), cancel.on_request(lambda: self._cancel(build_id)):
                if response.status_code != 200:
                    raise EngineError(f"Docker refused the build: {_refusal(response)}", hint="pkgtool doctor")
                self._follow(response, log)

    def _cancel(self, build_id: str) -> None:
        with contextlib.suppress(self._api_error(), OSError):
            self._client._post(self._client._url("/build/cancel"), params={"id": build_id}).close()  # noqa: SLF001

    def _follow(self, response: Any, log: LineSink) -> None:
        trace = TraceReader()
        failure = ""
        for message in _messages(response):
            if message.get("id") == "moby.buildkit.trace" and isinstance(message.get("aux"), str):
                for line in trace.lines(base64.b64decode(message["aux"])):
                    log(line)
            elif "error" in message:
                failure = str(message["error"])
            elif isinstance(message.get("stream"), str):
                log(message["stream"].rstrip("\n"))
        for line in trace.rest():
            log(line)
        if failure:
            raise BuildError(failure)

    # -- result -----------------------------------------------------------------------------------------

    def _save(self, result: str, output: Path) -> None:
        with output.open("wb") as file:
            for chunk in self._client.get_image(result, chunk_size=1 << 20):
                file.write(chunk)

    def _forget(self, result: str) -> None:
        with contextlib.suppress(self._api_error(), OSError):
            self._client.remove_image(result, force=True)

    @staticmethod
    def _api_error() -> type[Exception]:
        import docker.errors

        return docker.errors.DockerException


def connect(store: Store) -> DockerEngine | None:
    """The Docker engine that the environment names (DOCKER_HOST, the current context, the usual socket), or None.

    Raises `EngineError` if it answers but can't be used.
    """
    try:
        client = docker_client.open_client(docker_client.from_environment())
    except docker_client.unreachable():
        return None
    return _engine(client, store)


def connect_node(store: Store, node: Node) -> DockerEngine:
    """A Docker engine on another machine.

    Raises `EngineLost` if it does not answer, `EngineError` if it can't be used.
    """
    where = docker_client.from_endpoint(node.endpoint, node.trust)
    try:
        client = docker_client.open_client(where)
    except docker_client.unreachable() as problem:
        raise docker_client.lost(node.endpoint, problem) from problem
    return _engine(client, store, node.name)


def _engine(client: Any, store: Store, node: str = "") -> DockerEngine:
    client.timeout = _ANSWER_SECONDS
    try:
        return DockerEngine(client, store, node)
    except BaseException:
        client.close()
        raise


def _parameters(request: BuildRequest) -> dict[str, str]:
    return {
        "version": "2",
        "dockerfile": request.dockerfile,
        "platform": str(request.platform),
        "networkmode": "default" if request.network else "none",
        "nocache": "" if request.use_cache else "1",
        "rm": "1",
        "buildargs": json.dumps(dict(request.build_args)),
    }


def _messages(response: Any) -> Iterator[Mapping[str, Any]]:
    for line in response.iter_lines(chunk_size=4096):
        if line:
            message = json.loads(line)
            if isinstance(message, dict):
                yield message


def _refusal(response: Any) -> str:
    try:
        return str(json.loads(response.content)["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"
