"""What places answer when a file is fetched: absent, busy, broken, elsewhere, something else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pkgtool.errors import InputError
from pkgtool.events import Event, Note
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.transfer import Limits
from pkgtool.oci.store import Store
from tests.support.faulty_server import FaultyServer
from tests.support.fetching import BODY, QUICK, artifact, assert_stored, both, failure, fetch, kept


def test_not_found(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.files.clear()
    error = failure(store, served)
    assert error.details == (f"{server.url}/thing: answered 404 Not Found",)
    assert error.hint == "it is gone; 'pkgtool lock --update thing pkg/x' locks what is there now"
    assert server.requests["/thing"] == 1, "a permanent answer is not asked for again"


def test_gone_everywhere_lists_every_place(
    store: Store, server: FaultyServer, mirror: FaultyServer, tmp_path: Path
) -> None:
    wanted = artifact(f"{server.url}/a", f"{mirror.url}/b", (tmp_path / "c").as_uri())
    mirror.faults["/b"] = ["410"]
    error = failure(store, wanted)
    assert isinstance(error, InputError)
    assert error.message == "thing 1.0 could not be fetched from any of 3 places"
    assert error.details == (
        f"{server.url}/a: answered 404 Not Found",
        f"{mirror.url}/b: answered 410 Gone",
        f"file://{tmp_path}/c: there is no such file",
    )
    assert error.hint == "it is gone; 'pkgtool lock --update thing pkg/x' locks what is there now"


@pytest.mark.parametrize("status", ["429", "500", "502", "503", "504"])
def test_temporary_answers_are_tried_again(store: Store, served: Artifact, server: FaultyServer, status: str) -> None:
    server.faults["/thing"] = [status]
    fetch(store, served)
    assert server.requests["/thing"] == 2
    assert_stored(store, served)


def test_a_server_that_stays_broken(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["500…"]
    error = failure(store, served)
    assert error.details == (f"{server.url}/thing: answered 500 Internal Server Error (3 attempts)",)
    assert server.requests["/thing"] == 3


def test_retry_after_is_honoured(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["429:1"]
    started = time.monotonic()
    fetch(store, served, limits=Limits(first_wait=0.01, longest_wait=5))
    assert time.monotonic() - started >= 1


def test_a_wait_that_is_too_long_goes_to_the_next_place(
    store: Store, server: FaultyServer, mirror: FaultyServer
) -> None:
    wanted = both(server, mirror)
    server.faults["/thing"] = ["429:3600"]
    events = fetch(store, wanted)
    told = f"thing 1.0: {server.url}/thing: answered 429 Too Many Requests, and asks to wait 3600 s"
    assert Note("warning", told) in events
    assert server.requests["/thing"] == 1


def test_a_web_page_is_no_file(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["page…"]
    error = failure(store, served)
    assert error.details == (f"{server.url}/thing: answered with a web page instead of the file",)
    assert kept(store) == []


def test_another_size_is_refused_before_its_bytes(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.files["/thing"] = BODY + b"!"
    error = failure(store, served)
    assert error.details == (f"{server.url}/thing: has {len(BODY) + 1} bytes, the lock says {len(BODY)}",)


def test_an_endless_body_is_stopped(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["endless…"]
    error = failure(store, served)
    assert error.details == (f"{server.url}/thing: sent more than the {len(BODY)} bytes the lock says",)
    assert kept(store) == []


def test_a_closed_port(store: Store) -> None:
    error = failure(store, artifact("http://127.0.0.1:1/thing"))
    assert error.details == ("http://127.0.0.1:1/thing: no connection: [Errno 111] Connection refused (3 attempts)",)


def test_without_a_network_one_error_says_so(store: Store, server: FaultyServer) -> None:
    """Not a hundred times the same, and not a hundred times as long: a host that is not there is left alone."""
    names = [f"input-{number:03}" for number in range(100)]
    wanted = [artifact(f"http://127.0.0.1:1/{n}", f"http://127.0.0.2:1/{n}", body=n.encode(), name=n) for n in names]
    server.files["/here"] = BODY
    here = artifact(f"{server.url}/here", name="here")
    events: list[Event] = []
    with pytest.raises(InputError) as caught, Fetcher(store, limits=QUICK, events=events.append) as fetcher:
        fetcher.fetch([*wanted, here])
    assert caught.value.message == "100 inputs could not be fetched: 127.0.0.1:1 and 127.0.0.2:1 can't be reached"
    refused = "no connection: [Errno 111] Connection refused (3 attempts)"
    assert caught.value.details[:3] == (f"127.0.0.1:1: {refused}", f"127.0.0.2:1: {refused}", "input-000 1.0")
    assert caught.value.details[-1] == "and 90 more"
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("then: pkgtool fetch pkg/x")
    assert len([event for event in events if isinstance(event, Note)]) == 2
    assert_stored(store, here)


def test_redirects(store: Store, served: Artifact, server: FaultyServer, mirror: FaultyServer) -> None:
    mirror.faults["/a"] = [f"redirect:{server.url}/thing"]
    wanted = artifact(mirror.url.replace("http://", "http://user:secret@") + "/a")
    fetch(store, wanted)
    assert_stored(store, wanted)
    assert "Authorization" in mirror.headers[0]
    assert "Authorization" not in server.headers[0]


def test_redirects_elsewhere_and_without_end(store: Store, mirror: FaultyServer) -> None:
    mirror.faults["/a"] = ["redirect:file:///etc/passwd"]
    mirror.faults["/b"] = ["redirect:/b…"]
    error = failure(store, artifact(f"{mirror.url}/a", f"{mirror.url}/b"))
    assert error.details == (
        f"{mirror.url}/a: redirects to file:///etc/passwd",
        f"{mirror.url}/b: redirects more than 5 times",
    )
