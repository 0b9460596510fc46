"""How blobs get into a registry: mounted, whole, in parts, resumed, also by another process after a kill."""

from __future__ import annotations

import random
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.errors import RegistryError, StoreError
from pkgtool.oci.documents import LAYER_TAR, Descriptor
from pkgtool.oci.registry.errors import WrongContent
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from pkgtool.oci.store import Store
from pkgtool.oci.store.repository import StoreRepository
from tests.support.registry import server
from tests.support.registry.memory import MemoryRepository
from tests.support.registry.server import Modes, serving

CONTENT = random.Random(1).randbytes(1_000_000)
BLOB = Descriptor.of(CONTENT, LAYER_TAR)


@pytest.fixture
def source() -> MemoryRepository:
    memory = MemoryRepository()
    memory.write_blob(CONTENT, LAYER_TAR)
    return memory


@pytest.fixture
def parted(settings: RegistrySettings) -> RegistrySettings:
    return replace(settings, chunk=300_000)


def stored(state: server.State, name: str = "a") -> bytes | None:
    return state.blobs.get((name, str(BLOB.digest)))


def test_a_small_blob_goes_in_one_request(settings: RegistrySettings, source: MemoryRepository) -> None:
    with serving(Modes(parts=False)) as state, Registry(state.address, settings) as registry:
        assert registry.repository("a").take_blob(BLOB, source) == len(CONTENT)
        assert state.count() == {"HEAD": 1, "POST": 1, "PUT": 1}
        assert stored(state) == CONTENT


def test_a_large_blob_goes_in_parts(parted: RegistrySettings, source: MemoryRepository) -> None:
    with serving(Modes(whole=False)) as state, Registry(state.address, parted) as registry:
        assert registry.repository("a").take_blob(BLOB, source) == len(CONTENT)
        ranges = [seen.headers["content-range"] for seen in state.seen if seen.method == "PATCH"]
        assert ranges == ["0-299999", "300000-599999", "600000-899999", "900000-999999"]
        assert stored(state) == CONTENT


def test_a_registry_that_takes_no_parts_gets_it_whole(parted: RegistrySettings, source: MemoryRepository) -> None:
    with serving(Modes(parts=False)) as state, Registry(state.address, parted) as registry:
        registry.repository("a").take_blob(BLOB, source)
        assert stored(state) == CONTENT


def test_a_registry_that_only_takes_parts_gets_parts(settings: RegistrySettings, source: MemoryRepository) -> None:
    with serving(Modes(whole=False)) as state, Registry(state.address, settings) as registry:
        registry.repository("a").take_blob(BLOB, source)
        assert stored(state) == CONTENT


def test_a_blob_is_mounted_and_not_sent(settings: RegistrySettings, source: MemoryRepository) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        registry.repository("base").take_blob(BLOB, source)
        state.forget()
        assert registry.repository("a").take_blob(BLOB, source) == 0
        assert state.received == 0
        assert stored(state) == CONTENT


def test_the_caller_may_know_where_it_is(settings: RegistrySettings, source: MemoryRepository) -> None:
    with serving() as state:
        with Registry(state.address, settings) as registry:
            registry.repository("base").take_blob(BLOB, source)
        state.forget()
        with Registry(state.address, settings) as registry:
            assert registry.repository("a").take_blob(BLOB, source, mount_from=("nothing", "base")) == 0
        assert state.received == 0


def test_a_registry_without_mounting_gets_it_sent(settings: RegistrySettings, source: MemoryRepository) -> None:
    with serving(Modes(mount=False)) as state, Registry(state.address, settings) as registry:
        registry.repository("base").take_blob(BLOB, source)
        state.forget()
        assert registry.repository("a").take_blob(BLOB, source) == len(CONTENT)
        assert state.count() == {"HEAD": 1, "POST": 1, "PUT": 1}, "the upload that the mount began is used"


def test_threads_that_need_the_same_blob_send_it_once(settings: RegistrySettings, source: MemoryRepository) -> None:
    with serving() as state, Registry(state.address, settings) as registry:
        threads = [
            threading.Thread(target=registry.repository(f"r{number}").take_blob, args=(BLOB, source))
            for number in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert state.received == len(CONTENT)
        assert all(stored(state, f"r{number}") == CONTENT for number in range(6))


def _cut(after: int) -> server.Interference:
    """Take `after` bytes of the second PATCH and break the connection, once."""
    patches = [0]

    def interfere(handler: server.Handler, method: str, path: str) -> bool:
        if method != "PATCH":
            return False
        patches[0] += 1
        if patches[0] != 2:
            return False
        key = path.rpartition("/")[2]
        handler.state.uploads[key] += handler.rfile.read(after)
        handler.state.received += after
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
        return True

    return interfere


def test_an_upload_goes_on_where_it_broke(parted: RegistrySettings, source: MemoryRepository) -> None:
    with serving() as state, Registry(state.address, parted) as registry:
        state.interfere = _cut(100_000)
        registry.repository("a").take_blob(BLOB, source)
        assert state.received == len(CONTENT), "not a byte twice"
        assert stored(state) == CONTENT


def test_another_process_goes_on(parted: RegistrySettings, source: MemoryRepository) -> None:
    once = replace(parted, retry=replace(parted.retry, attempts=1))
    with serving() as state:
        state.interfere = _cut(100_000)
        with Registry(state.address, once) as registry, pytest.raises(RegistryError):
            registry.repository("a").take_blob(BLOB, source)
        files = list((parted.state or Path()).glob("uploads/*"))
        assert len(files) == 1
        assert files[0].stat().st_mode & 0o777 == 0o600, "an upload's URL may be a permission"
        with Registry(state.address, once) as registry:
            assert registry.repository("a").take_blob(BLOB, source) == len(CONTENT) - 400_000
        assert state.received == len(CONTENT)
        assert stored(state) == CONTENT
        assert not list((parted.state or Path()).glob("uploads/*"))


def test_an_upload_that_the_registry_dropped_is_begun_anew(parted: RegistrySettings, source: MemoryRepository) -> None:
    with serving() as state, Registry(state.address, parted) as registry:
        cut = _cut(100_000)

        def interfere(handler: server.Handler, method: str, path: str) -> bool:
            if not cut(handler, method, path):
                return False
            handler.state.uploads.clear()
            return True

        state.interfere = interfere
        registry.repository("a").take_blob(BLOB, source)
        assert stored(state) == CONTENT


def test_a_remembered_upload_with_other_content_is_not_trusted(
    parted: RegistrySettings, source: MemoryRepository
) -> None:
    """Somebody else wrote into it: only the digest at the end tells, and then it is begun anew."""
    once = replace(parted, retry=replace(parted.retry, attempts=2))
    with serving() as state:
        cut = _cut(100_000)
        state.interfere = cut
        impatient = replace(once, retry=replace(once.retry, attempts=1))
        with Registry(state.address, impatient) as registry, pytest.raises(RegistryError):
            registry.repository("a").take_blob(BLOB, source)
        for upload in state.uploads.values():
            upload[0] ^= 1
        with Registry(state.address, once) as registry:
            registry.repository("a").take_blob(BLOB, source)
        assert stored(state) == CONTENT


def test_a_damaged_local_blob_is_refused_by_the_registry_and_named(
    settings: RegistrySettings, parted: RegistrySettings, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    with store.in_use(), serving() as state:
        blob = store.layout.write(CONTENT, LAYER_TAR)
        path = store.layout.blob_path(blob.digest)
        path.chmod(0o644)
        path.write_bytes(CONTENT[:-1] + b"!")
        for chosen in (settings, parted):
            state.forget()
            with Registry(state.address, chosen) as registry, pytest.raises(WrongContent, match="digest") as caught:
                registry.repository("a").take_blob(blob, StoreRepository(store.layout, "a"))
            assert "store verify" in str(caught.value.hint)
            assert state.received <= len(CONTENT), "sent once, not over and over"


def test_uploads_of_one_blob_by_two_processes_wait_for_each_other(
    parted: RegistrySettings, source: MemoryRepository
) -> None:
    """Two `Registry` objects share nothing but the state directory, as two processes do."""
    with serving() as state:
        registries_ = [Registry(state.address, parted) for _ in range(2)]
        threads = [threading.Thread(target=r.repository("a").take_blob, args=(BLOB, source)) for r in registries_]
        for thread in threads:
            thread.start()
        for thread, registry in zip(threads, registries_, strict=True):
            thread.join()
            registry.close()
        assert state.received == len(CONTENT)


def test_a_file_that_is_cut_short_while_it_is_sent(settings: RegistrySettings, tmp_path: Path) -> None:
    class Cut(MemoryRepository):
        def blob_file(self, descriptor: Descriptor) -> Path:
            path = tmp_path / "blob"
            path.write_bytes(CONTENT[:1000])
            return path

    with serving() as state, Registry(state.address, settings) as registry, pytest.raises(StoreError, match="early"):
        registry.repository("a").take_blob(BLOB, Cut())
    assert not state.blobs
