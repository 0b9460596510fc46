"""Fetching one file from places that may fail, quickly."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgtool.errors import PkgtoolError
from pkgtool.events import Event
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.lock import Content
from pkgtool.inputs.transfer import Limits
from pkgtool.oci.store import Store
from pkgtool.values import Digest
from tests.support.faulty_server import FaultyServer

BODY = bytes(range(256)) * 2000
QUICK = Limits(attempts=3, silence=0.5, first_wait=0.01, longest_wait=0.05, minimum_speed=4096, speed_window=0.3)


def artifact(*urls: str, body: bytes = BODY, name: str = "thing") -> Artifact:
    return Artifact("pkg/x", name, f"{name} 1.0", Content(Digest.of(body), len(body)), urls)


def fetch(store: Store, *wanted: Artifact, limits: Limits = QUICK, **options: object) -> list[Event]:
    events: list[Event] = []
    with Fetcher(store, limits=limits, events=events.append, **options) as fetcher:  # type: ignore[arg-type]
        fetcher.fetch(wanted)
    return events


def failure(store: Store, *wanted: Artifact, **options: object) -> PkgtoolError:
    with pytest.raises(PkgtoolError) as caught:
        fetch(store, *wanted, **options)  # type: ignore[arg-type]
    return caught.value


def kept(store: Store) -> list[Path]:
    """All files in the inputs' area."""
    return [path for path in (store.private / "inputs").rglob("*") if path.is_file()]


def assert_stored(store: Store, wanted: Artifact, body: bytes = BODY) -> None:
    assert store.input_path(wanted.digest).read_bytes() == body
    assert kept(store) == [store.input_path(wanted.digest)]


def both(server: FaultyServer, mirror: FaultyServer) -> Artifact:
    server.files["/thing"] = mirror.files["/thing"] = BODY
    return artifact(f"{server.url}/thing", f"{mirror.url}/thing")
