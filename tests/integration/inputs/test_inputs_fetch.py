"""Fetching from mirrors that fail in every way known; nothing wrong may ever be kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.errors import InputError, Interrupted, Problems
from pkgtool.events import Event, Note, StepProgress
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.lock import Content
from pkgtool.inputs.mirrors import Mirrors
from pkgtool.inputs.transfer import Limits
from pkgtool.oci.store import Store
from pkgtool.values import Digest
from tests.support.faulty_server import FaultyServer
from tests.support.fetching import BODY, QUICK, artifact, assert_stored, both, failure, fetch, kept


def test_fetches_verifies_and_tells_progress(store: Store, served: Artifact) -> None:
    events = fetch(store, served)
    assert_stored(store, served)
    assert events[-1] == StepProgress("fetch", len(BODY), len(BODY))


def test_what_is_there_is_not_asked_for(store: Store, served: Artifact, server: FaultyServer) -> None:
    fetch(store, served)
    fetch(store, served)
    assert server.requests["/thing"] == 1


def test_one_content_under_two_names_is_fetched_once(store: Store, served: Artifact, server: FaultyServer) -> None:
    fetch(store, served, artifact(f"{server.url}/thing", name="other"))
    assert server.requests["/thing"] == 1


def test_file_urls(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "a file"
    source.write_bytes(BODY)
    wanted = artifact(source.as_uri())
    fetch(store, wanted)
    assert_stored(store, wanted)


def test_wrong_bytes_are_refused_and_the_next_place_serves(
    store: Store, server: FaultyServer, mirror: FaultyServer
) -> None:
    wanted = both(server, mirror)
    server.faults["/thing"] = ["wrong…"]
    events = fetch(store, wanted)
    assert_stored(store, wanted)
    wrong = Digest.of(bytes(byte ^ 1 for byte in BODY))
    told = f"thing 1.0: {server.url}/thing: wrong bytes: {wrong}, the lock says {wanted.digest}"
    assert Note("warning", told) in events


def test_wrong_bytes_everywhere_keep_nothing(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["wrong…"]
    error = failure(store, served)
    wrong = Digest.of(bytes(byte ^ 1 for byte in BODY))
    assert error.message == "thing 1.0 could not be fetched from its only place"
    assert error.details == (f"{server.url}/thing: wrong bytes: {wrong}, the lock says {served.digest}",)
    assert error.hint == (
        "try again with 'pkgtool fetch pkg/x'; "
        "if it is gone for good, 'pkgtool lock --update thing pkg/x' renews the lock"
    )
    assert kept(store) == []


def test_a_transfer_that_is_cut_off_goes_on_where_it_ended(
    store: Store, served: Artifact, server: FaultyServer
) -> None:
    server.faults["/thing"] = ["cut:1000"]
    fetch(store, served)
    assert_stored(store, served)
    assert server.ranges == ["bytes=1000-"]


def test_a_transfer_that_is_always_cut_off(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["cut:1000…"]
    error = failure(store, served)
    assert error.details == (f"{server.url}/thing: broke off after 3000 bytes (3 attempts)",)
    assert not store.input_path(served.digest).exists()


def test_the_next_run_goes_on_at_what_was_kept(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["cut:1000"] * 3
    failure(store, served)
    fetch(store, served)
    assert server.ranges[-1] == "bytes=3000-"
    assert_stored(store, served)


def test_the_next_place_goes_on_at_what_was_kept(store: Store, server: FaultyServer, mirror: FaultyServer) -> None:
    wanted = both(server, mirror)
    server.faults["/thing"] = ["cut:1000…"]
    fetch(store, wanted)
    assert mirror.ranges == ["bytes=3000-"]
    assert_stored(store, wanted)


def test_a_wrong_beginning_of_an_earlier_run_is_thrown_away(
    store: Store, served: Artifact, server: FaultyServer
) -> None:
    partial = store.private / "inputs" / "partial" / served.digest.hex
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"?" * 1000)
    fetch(store, served)
    assert server.ranges == ["bytes=1000-"]
    assert server.requests["/thing"] == 2
    assert_stored(store, served)


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_complete_leftover_is_used_or_thrown_away(
    store: Store, served: Artifact, server: FaultyServer, extra: bytes
) -> None:
    partial = store.private / "inputs" / "partial" / served.digest.hex
    partial.parent.mkdir(parents=True)
    partial.write_bytes(BODY + extra)
    fetch(store, served)
    assert server.requests["/thing"] == (1 if extra else 0)
    assert_stored(store, served)


@pytest.mark.parametrize("fault", ["no-range", "bad-range", "416"])
def test_servers_without_ranges_start_over(store: Store, served: Artifact, server: FaultyServer, fault: str) -> None:
    server.faults["/thing"] = ["cut:1000", fault]
    fetch(store, served)
    assert_stored(store, served)


def test_a_slow_place_is_left(store: Store, server: FaultyServer, mirror: FaultyServer) -> None:
    wanted = both(server, mirror)
    server.faults["/thing"] = ["slow…"]
    events = fetch(store, wanted)
    assert_stored(store, wanted)
    [note] = [event for event in events if isinstance(event, Note)]
    assert note.message.startswith(f"thing 1.0: {server.url}/thing: too slow: ")
    assert note.message.endswith("bytes/s, less than 4096")


def test_a_silent_place(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["silent…"]
    error = failure(store, served)
    assert error.details == (f"{server.url}/thing: did not answer in time (3 attempts)",)


def test_secrets_of_a_url_are_not_shown(store: Store, server: FaultyServer) -> None:
    url = server.url.replace("http://", "http://user:hunter2@") + "/x?X-Amz-Signature=abc&part=1"
    error = failure(store, artifact(url))
    assert error.details == (f"{server.url}/x?X-Amz-Signature=…&part=1: answered 404 Not Found",)


def test_unknown_schemes(store: Store) -> None:
    error = failure(store, artifact("gopher://x/y"))
    assert error.details == ("gopher://x/y: pkgtool can't fetch from gopher",)


def test_mirrors_replace_the_original(store: Store, served: Artifact, server: FaultyServer) -> None:
    wanted = artifact("https://closed.example/pub/thing")
    fetch(store, wanted, mirrors=Mirrors((("https://closed.example/pub", server.url),)))
    assert_stored(store, wanted)


def test_offline_asks_nobody_and_lists_what_is_missing(store: Store, served: Artifact, server: FaultyServer) -> None:
    other = artifact(f"{server.url}/other", body=b"other", name="other")
    error = failure(store, served, other, offline=True)
    assert error.message == "offline, and 2 inputs are not in the store"
    assert error.details == (f"thing 1.0 ({served.digest.short})", f"other 1.0 ({other.digest.short})")
    assert error.hint == "with network: pkgtool fetch pkg/x"
    many = [artifact(f"{server.url}/{n}", body=bytes([n]), name=f"n{n}") for n in range(15)]
    error = failure(store, *many, offline=True)
    assert error.message == "offline, and 15 inputs are not in the store"
    assert (len(error.details), error.details[-1]) == (11, "and 5 more")
    assert not server.requests


def test_every_failure_is_reported_and_the_rest_is_kept(store: Store, served: Artifact, server: FaultyServer) -> None:
    missing = [artifact(f"{server.url}/{name}", body=name.encode(), name=name) for name in ("one", "two")]
    error = failure(store, missing[0], served, missing[1])
    assert isinstance(error, Problems)
    assert [problem.message.split()[0] for problem in error.problems] == ["one", "two"]
    assert_stored(store, served)


def test_damage_in_the_store_is_found_named_and_repaired(store: Store, served: Artifact, server: FaultyServer) -> None:
    fetch(store, served)
    path = store.input_path(served.digest)
    path.write_bytes(bytes(len(BODY)))
    events: list[Event] = []
    with Fetcher(store, events=events.append) as fetcher:
        assert fetcher.reject_damaged([served]) == (served,)
        assert events == [Note("warning", f"thing 1.0 in the store is damaged, removed: {path}")]
        fetcher.fetch([served])
        assert fetcher.reject_damaged([served]) == ()
    assert_stored(store, served)


def test_cancelling_wakes_a_transfer_and_keeps_what_came(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.faults["/thing"] = ["slow…"]
    cancel = Cancellation()

    def cancel_when_bytes_come(event: Event) -> None:
        if isinstance(event, StepProgress) and event.done:
            cancel.request()

    started = time.monotonic()
    limits = Limits(silence=30, speed_window=30)
    with (
        Fetcher(store, limits=limits, cancel=cancel, events=cancel_when_bytes_come) as fetcher,
        pytest.raises(Interrupted),
    ):
        fetcher.fetch([served])
    assert time.monotonic() - started < 10
    [partial] = kept(store)
    assert partial.parent.name == "partial"
    assert BODY.startswith(partial.read_bytes())


def test_learning_a_file_without_a_hash(store: Store, server: FaultyServer) -> None:
    server.files["/thing"] = BODY
    server.faults["/thing"] = ["cut:1000"]
    with Fetcher(store, limits=QUICK) as fetcher:
        content = fetcher.learn("thing", [f"{server.url}/absent", f"{server.url}/thing"])
    assert content == Content(Digest.of(BODY), len(BODY))
    assert store.input_path(content.digest).read_bytes() == BODY


def test_learning_fails_with_every_reason(store: Store, server: FaultyServer) -> None:
    with Fetcher(store, limits=QUICK) as fetcher, pytest.raises(InputError) as caught:
        fetcher.learn("thing", [f"{server.url}/absent"])
    assert caught.value.details == (f"{server.url}/absent: answered 404 Not Found",)
    assert kept(store) == []


def test_two_processes_fetch_an_artifact_once(store: Store, served: Artifact, server: FaultyServer) -> None:
    server.files["/thing"] = BODY
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with Store(store.root).in_use():
                    fetch(Store(store.root), served)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert server.requests["/thing"] == 1
    assert store.input_path(served.digest).read_bytes() == BODY
