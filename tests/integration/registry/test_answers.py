"""Each thing that a registry, or what poses as one, can answer: its own error, or the right result all the same."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.errors import Interrupted
from pkgtool.events import Event, Note
from pkgtool.oci.documents import INDEX, MANIFEST
from pkgtool.oci.registry.errors import (
    NoSuchHost,
    NotARegistry,
    RateLimited,
    Refused,
    RepositoryUnknown,
    RequestFailed,
    ServerFailure,
    TlsFailure,
    Unreachable,
    WrongContent,
)
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from pkgtool.values import Digest
from tests.support.registry import registries, server
from tests.support.registry.images import AMD64, put_image, put_package
from tests.support.registry.server import Modes, serving

Answer = Callable[[server.Handler], None]


def times(count: int, answer: Answer) -> server.Interference:
    """Answer the first `count` requests otherwise."""
    left = [count]

    def interfere(handler: server.Handler, method: str, path: str) -> bool:
        if not left[0]:
            return False
        left[0] -= 1
        handler.body()
        answer(handler)
        return True

    return interfere


def status(code: int, **headers: str) -> Answer:
    return lambda handler: handler.error(code, "SOMETHING", **headers)


def reset(handler: server.Handler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def page(handler: server.Handler) -> None:
    handler.answer(200, b"<!DOCTYPE html><html>Log in</html>", Content_Type="text/html; charset=utf-8")


def absent_page(handler: server.Handler) -> None:
    handler.answer(404, b"<html>404</html>", Content_Type="text/html")


def endless(handler: server.Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", MANIFEST)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


@pytest.mark.parametrize(
    "answer", [status(500), status(502), status(503), status(408), reset], ids=["500", "502", "503", "408", "reset"]
)
def test_temporary_failures_are_tried_again(settings: RegistrySettings, answer: Answer) -> None:
    said: list[Event] = []
    with serving() as state, Registry(state.address, settings, sink=said.append) as registry:
        put_package(registry.repository("a"), tag="v1")
        state.interfere = times(2, answer)
        assert registry.repository("a").resolve("v1")
    notes = [event.message for event in said if isinstance(event, Note)]
    assert len(notes) == 2
    assert "trying again" in notes[0]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(status(500), ServerFailure), (status(429), RateLimited), (reset, Unreachable)],
    ids=["500", "429", "reset"],
)
def test_they_end_after_the_limit(settings: RegistrySettings, answer: Answer, kind: type[RequestFailed]) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        registry.check()
        state.forget()
        state.interfere = times(1000, answer)
        with pytest.raises(kind) as caught:
            registry.repository("a").resolve("v1")
        assert caught.value.hint
        assert len(state.seen) == settings.retry.attempts


@pytest.mark.parametrize(("code", "kind"), [(400, Refused), (405, Refused), (416, Refused)])
def test_what_is_not_temporary_is_not_tried_again(
    settings: RegistrySettings, code: int, kind: type[RequestFailed]
) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        registry.check()
        state.forget()
        state.interfere = times(1000, status(code))
        with pytest.raises(kind, match=str(code)):
            registry.repository("a").get_manifest("v1")
        assert len(state.seen) == 1


def test_retry_after_is_honoured(settings: RegistrySettings) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        registry.check()
        state.interfere = times(1, status(429, Retry_After="1"))
        started = time.monotonic()
        assert registry.repository("a").resolve("v1") is None
        assert time.monotonic() - started >= 1


def test_a_registry_that_wants_an_hour_gets_an_error(settings: RegistrySettings) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        registry.check()
        state.forget()
        state.interfere = times(1000, status(429, Retry_After="3600"))
        with pytest.raises(RateLimited, match="3600 s"):
            registry.repository("a").resolve("v1")
        assert len(state.seen) == 1


@pytest.mark.parametrize("answer", [page, absent_page])
def test_a_web_page_is_not_a_registry(settings: RegistrySettings, answer: Answer) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        state.interfere = times(1000, answer)
        for ask in (
            lambda: registry.repository("a").resolve("v1"),
            lambda: registry.repository("a").get_manifest("v1"),
            lambda: registry.repository("a").tags(),
            lambda: registry.repository("a").has_blob(Digest.of(b"")),
        ):
            with pytest.raises(NotARegistry, match="web page"):
                ask()


def test_an_endless_answer_ends(settings: RegistrySettings) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        registry.check()
        state.interfere = times(1, endless)
        with pytest.raises(WrongContent, match="more than"):
            registry.repository("a").get_manifest("v1")


def test_an_endless_blob_ends(settings: RegistrySettings) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        blob = registry.repository("a").write_blob(b"x" * 1000, "text/plain")
        state.interfere = times(1, endless)
        with pytest.raises(WrongContent, match="more than"):
            registry.repository("a").read_blob(blob)


def test_a_wrong_digest_header_is_seen(settings: RegistrySettings) -> None:
    def lie(handler: server.Handler) -> None:
        handler.answer(200, b'{"schemaVersion":2}', Content_Type=INDEX, Docker_Content_Digest=f"sha256:{'0' * 64}")

    with serving() as state, Registry(state.address, settings) as registry:
        registry.check()
        state.interfere = times(1000, lie)
        with pytest.raises(WrongContent, match="other content"):
            registry.repository("a").get_manifest("v1")
        with pytest.raises(WrongContent, match="other content"):
            registry.repository("a").resolve(Digest.of(b"something"))
        with pytest.raises(WrongContent, match="other content"):
            registry.repository("a").put_manifest(b'{"schemaVersion":2}', INDEX, tag="v1")


def test_swapped_content_is_seen(settings: RegistrySettings) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        image = put_image(registry.repository("a"), AMD64)
        other = put_image(registry.repository("a"), AMD64, seed="other")
        key = ("a", str(image.digest))
        state.manifests[key] = state.manifests["a", str(other.digest)]
        with pytest.raises(WrongContent):
            registry.repository("a").get_manifest(image.digest)


@pytest.mark.parametrize("announced", ["10", "1000"])
def test_a_wrong_length_is_seen(settings: RegistrySettings, announced: str) -> None:
    def lie(handler: server.Handler) -> None:
        handler.answer(200, b"x" * 100, Content_Length=announced, Content_Type="application/octet-stream")
        handler.close_connection = True

    with serving() as state, Registry(state.address, settings) as registry:
        blob = registry.repository("a").write_blob(b"x" * 100, "text/plain")
        state.interfere = times(1000, lie)
        with pytest.raises(WrongContent, match=announced):
            registry.repository("a").read_blob(blob)


def test_a_download_goes_on_where_it_broke(settings: RegistrySettings) -> None:
    content = bytes(range(256)) * 4000

    def half(handler: server.Handler) -> None:
        handler.answer(200, content[:500_000], Content_Length=str(len(content)))
        reset(handler)

    with serving() as state, Registry(state.address, settings) as registry:
        blob = registry.repository("a").write_blob(content, "text/plain")
        state.forget()
        state.interfere = times(1, half)
        assert registry.repository("a").read_blob(blob) == content
        assert state.count() == {"GET": 2}
        assert state.seen[1].headers["range"].startswith("bytes=")
        assert state.seen[1].headers["range"] != "bytes=0-"


def test_a_server_that_ignores_ranges(settings: RegistrySettings) -> None:
    content = bytes(range(256)) * 4000
    asked = []

    def half(handler: server.Handler, method: str, path: str) -> bool:
        asked.append(method)
        end = 500_000 if len(asked) == 1 else len(content)
        handler.answer(200, content[:end], Content_Length=str(len(content)))
        if len(asked) == 1:
            reset(handler)
        return True

    with serving() as state, Registry(state.address, settings) as registry:
        blob = registry.repository("a").write_blob(content, "text/plain")
        state.interfere = half
        assert registry.repository("a").read_blob(blob) == content
        assert len(asked) == 2


def test_a_schema_1_manifest_is_refused_with_a_reason(settings: RegistrySettings) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"

    def old(handler: server.Handler) -> None:
        handler.answer(200, json.dumps({"schemaVersion": 1, "name": "a"}).encode(), Content_Type=kind)

    with serving() as state, Registry(state.address, settings) as registry:
        registry.check()
        state.interfere = times(1000, old)
        with pytest.raises(WrongContent, match="not supported"):
            registry.repository("a").resolve("v1")


def test_a_repository_that_must_be_made_first(settings: RegistrySettings) -> None:
    with serving(Modes(create=False)) as state, Registry(state.address, settings) as registry:
        assert registry.repository("a").resolve("v1") is None
        assert registry.repository("a").tags() == []
        with pytest.raises(RepositoryUnknown) as caught:
            registry.repository("a").write_blob(b"x", "text/plain")
        assert "create" in str(caught.value.hint)


def test_nobody_there(settings: RegistrySettings) -> None:
    port = registries.free_port()
    with Registry(f"127.0.0.1:{port}", settings) as registry, pytest.raises(Unreachable, match="Connection refused"):
        registry.repository("a").resolve("v1")


def test_an_unknown_host(settings: RegistrySettings) -> None:
    with Registry("registry.invalid", settings) as registry, pytest.raises(NoSuchHost) as caught:
        registry.repository("a").resolve("v1")
    assert caught.value.hint


def test_a_host_that_says_nothing(settings: RegistrySettings) -> None:
    quick = replace(settings, read_seconds=0.2, connect_seconds=0.2, retry=replace(settings.retry, attempts=2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with Registry(address, quick) as registry, pytest.raises(Unreachable, match="no answer in time"):
            registry.repository("a").resolve("v1")


def test_plain_http_only_where_it_is_allowed(settings: RegistrySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not loopback, though it leads there: the address decides, not where it resolves to."""
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: real("127.0.0.1" if host == "far.example" else host, *rest, **more),
    )
    with serving() as state:
        host = f"far.example:{state.address.partition(':')[2]}"
        with Registry(host, settings) as registry, pytest.raises(TlsFailure, match="does not speak TLS") as caught:
            registry.repository("a").resolve("v1")
        assert "insecure-registries" in str(caught.value.hint)
        assert not state.seen, "nothing was sent in the clear"
        allowed = replace(settings, insecure=frozenset((host,)))
        with Registry(host, allowed) as registry:
            put_package(registry.repository("a"), tag="v1")
            assert registry.repository("a").resolve("v1")


def test_cancelling_ends_a_waiting_request_at_once(settings: RegistrySettings) -> None:
    cancel = Cancellation()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with Registry(address, replace(settings, read_seconds=30), cancel=cancel) as registry:
            timer = threading.Timer(0.3, cancel.request)
            timer.start()
            started = time.monotonic()
            with pytest.raises(Interrupted):
                registry.repository("a").resolve("v1")
            assert time.monotonic() - started < 3
            timer.join()


def test_cancelling_ends_the_waiting_between_tries(settings: RegistrySettings) -> None:
    cancel = Cancellation()
    slow = replace(settings, retry=replace(settings.retry, first_wait=60, longest_wait=60))
    with serving() as state, Registry(state.address, slow, cancel=cancel) as registry:
        registry.check()
        state.interfere = times(1000, status(503, Retry_After="60"))
        timer = threading.Timer(0.3, cancel.request)
        timer.start()
        with pytest.raises(Interrupted):
            registry.repository("a").resolve("v1")
        timer.join()


def test_a_path_prefix_stands_before_every_repository(settings: RegistrySettings) -> None:
    with serving() as state, Registry(f"{state.address}/team/images", settings) as registry:
        repository = registry.repository("linuxkit/getty")
        put_package(repository, tag="v1")
        assert repository.name == f"{state.address}/team/images/linuxkit/getty"
        assert all(seen.path.startswith("/v2/team/images/linuxkit/getty/") for seen in state.seen)


def test_connections_are_kept(settings: RegistrySettings) -> None:
    ports = set()

    def note(handler: server.Handler, method: str, path: str) -> bool:
        ports.add(handler.client_address)
        return False

    with serving() as state, Registry(state.address, settings) as registry:
        state.interfere = note
        put_package(registry.repository("a"), tag="v1")
        for _ in range(5):
            registry.repository("a").resolve("v1")
    assert len(ports) == 1


def test_a_proxy_is_used_for_others_and_not_for_loopback(
    settings: RegistrySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as proxy, serving() as state:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        with Registry(state.address, settings) as registry:
            assert registry.repository("a").resolve("v1") is None
        assert not proxy.seen
        far = replace(settings, insecure=frozenset(("far.example:80",)))
        monkeypatch.setenv("https_proxy", f"http://{proxy.address}")
        with Registry("far.example:80", far) as registry:
            assert registry.repository("a").get_manifest("v1") is None
        assert [seen.path for seen in proxy.seen] == ["http://far.example/v2/a/manifests/v1"]
