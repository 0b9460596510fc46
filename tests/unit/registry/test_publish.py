"""The rules of publishing, on a repository in memory whose calls can be interleaved at will."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgtool.errors import RegistryError
from pkgtool.oci.documents import Descriptor, Index
from pkgtool.oci.registry.errors import TagConflict
from pkgtool.oci.registry.publish import Outcome, Publication, index_of, publish, read_index
from pkgtool.oci.registry.transfer import CopyOptions
from pkgtool.values import Digest, Platform
from tests.support.registry.images import AMD64, ARM64, PLATFORMS, RISCV64, assert_whole, put_package
from tests.support.registry.memory import MemoryRepository

_SEQUENTIAL = CopyOptions(parallel=1)


@pytest.fixture
def store() -> MemoryRepository:
    return MemoryRepository("store")


@pytest.fixture
def target() -> MemoryRepository:
    return MemoryRepository("registry.example/linuxkit/getty")


def publication(
    images: dict[Platform, Descriptor], platforms: Sequence[Platform] = PLATFORMS, *, replace: bool = False
) -> Publication:
    return Publication("tag", images, tuple(platforms), replace=replace)


def test_first_the_images_then_the_index(store: MemoryRepository, target: MemoryRepository) -> None:
    index, images = put_package(store)
    done = publish(store, target, publication(images))
    assert done.outcome is Outcome.CREATED
    assert done.index.digest == index.digest == index_of(images).digest
    assert target.tags() == ["tag", "tag-amd64", "tag-arm64"]
    assert_whole(target, "tag")


def test_again_is_one_request_when_every_platform_is_ours(store: MemoryRepository, target: MemoryRepository) -> None:
    _, images = put_package(store)
    publish(store, target, publication(images, (AMD64, ARM64)))
    target.calls.clear()
    assert publish(store, target, publication(images, (AMD64, ARM64))).outcome is Outcome.UNCHANGED
    assert dict(target.calls) == {"resolve": 1}


def test_again_is_one_request_more_for_each_platform_of_others(
    store: MemoryRepository, target: MemoryRepository
) -> None:
    _, images = put_package(store)
    publish(store, target, publication(images, (AMD64, ARM64, RISCV64)))
    target.calls.clear()
    publish(store, target, publication(images, (AMD64, ARM64, RISCV64)))
    assert dict(target.calls) == {"resolve": 2}


def test_platforms_merge(store: MemoryRepository, target: MemoryRepository) -> None:
    index, images = put_package(store)
    publish(store, target, publication({ARM64: images[ARM64]}))
    done = publish(store, target, publication({AMD64: images[AMD64]}))
    assert done.outcome is Outcome.MERGED
    assert done.index.digest == index.digest, "the same bytes in whatever order they came"
    done = publish(store, target, publication({ARM64: images[ARM64]}))
    assert done.outcome is Outcome.UNCHANGED
    assert set(done.images) == {AMD64, ARM64}


def test_a_platform_with_other_content_is_refused_before_anything_is_sent(
    store: MemoryRepository, target: MemoryRepository
) -> None:
    _, old = put_package(store, seed="old")
    _, new = put_package(store, seed="new")
    publish(store, target, publication(old))
    before = dict(target.pointers), set(target.manifests), set(target.blobs)
    with pytest.raises(TagConflict) as caught:
        publish(store, target, publication(new))
    assert (dict(target.pointers), set(target.manifests), set(target.blobs)) == before
    assert caught.value.published == old[AMD64].digest
    assert caught.value.ours == new[AMD64].digest
    text = f"{caught.value} {caught.value.details} {caught.value.hint}"
    assert str(old[AMD64].digest) in text
    assert str(new[AMD64].digest) in text
    assert "--replace tag" in text


def test_one_new_and_one_conflicting_platform_is_refused_whole(
    store: MemoryRepository, target: MemoryRepository
) -> None:
    _, old = put_package(store, (AMD64,), seed="old")
    _, new = put_package(store, (AMD64, ARM64), seed="new")
    publish(store, target, publication(old))
    with pytest.raises(TagConflict):
        publish(store, target, publication(new))
    assert "tag-arm64" not in target.tags()


def test_replace_replaces_and_keeps_other_platforms(store: MemoryRepository, target: MemoryRepository) -> None:
    _, old = put_package(store, (AMD64, ARM64), seed="old")
    _, new = put_package(store, (AMD64,), seed="new")
    publish(store, target, publication(old))
    done = publish(store, target, publication(new, replace=True))
    assert done.outcome is Outcome.REPLACED
    assert {p: d.digest for p, d in read_index(target, "tag").images.items()} == {
        AMD64: new[AMD64].digest,
        ARM64: old[ARM64].digest,
    }


def test_a_platform_tag_without_an_index_entry_is_taken_in(store: MemoryRepository, target: MemoryRepository) -> None:
    """Its pusher was killed between the two: whoever comes next completes the index."""
    index, images = put_package(store)
    publish(store, target, publication({AMD64: images[AMD64]}))
    publish(store, target, publication(images))
    lonely = Index.of_platforms([images[AMD64]])
    target.put_manifest(lonely.encode(), lonely.media_type, tag="tag")
    done = publish(store, target, publication({AMD64: images[AMD64]}))
    assert done.index.digest == index.digest


def test_an_index_of_another_tool_with_the_same_images_is_left_as_it_is(
    store: MemoryRepository, target: MemoryRepository
) -> None:
    _, images = put_package(target)
    put_package(store)
    foreign = Index((images[ARM64], images[AMD64]), {"made.by": "another"})
    stored = target.put_manifest(foreign.encode(), foreign.media_type, tag="tag")
    done = publish(store, target, publication(images))
    assert done.index.digest == stored.digest
    assert done.outcome is Outcome.UNCHANGED


def test_what_is_no_index_of_platforms_is_refused(store: MemoryRepository, target: MemoryRepository) -> None:
    _, images = put_package(store, (AMD64,))
    _, theirs = put_package(target, (ARM64,))
    content = target.manifests[theirs[ARM64].digest][1]
    target.put_manifest(content, theirs[ARM64].media_type, tag="tag")
    with pytest.raises(RegistryError, match="single image"):
        publish(store, target, publication(images))
    unknown = Index((Descriptor(theirs[ARM64].media_type, theirs[ARM64].digest, theirs[ARM64].size),))
    target.put_manifest(unknown.encode(), unknown.media_type, tag="tag")
    with pytest.raises(RegistryError, match="without a platform"):
        publish(store, target, publication(images))


def test_an_unreachable_target_is_no_absent_tag(store: MemoryRepository, target: MemoryRepository) -> None:
    _, images = put_package(store)

    def down(reference: str | Digest) -> Descriptor | None:
        raise RegistryError("no answer")

    target.resolve = down  # type: ignore[method-assign]
    with pytest.raises(RegistryError, match="no answer"):
        publish(store, target, publication(images))
    assert not target.manifests


class Interleaved(MemoryRepository):
    """Lets exactly one thread run between two calls, chosen by a schedule: all races, repeatably."""

    def __init__(self, schedule: Callable[[int], int], pushers: int) -> None:
        super().__init__("registry.example/raced")
        self._schedule = schedule
        self._waiting: dict[int, threading.Event] = {}
        self._guard = threading.Condition()
        self._running = pushers
        self._names = threading.local()

    def enter(self, number: int) -> None:
        self._names.number = number

    def leave(self) -> None:
        with self._guard:
            self._running -= 1
            self._choose()

    def turn(self) -> None:
        event = threading.Event()
        with self._guard:
            self._waiting[self._names.number] = event
            self._choose()
        assert event.wait(20), "the schedule stands still"

    def _choose(self) -> None:
        if self._running and len(self._waiting) == self._running:
            names = sorted(self._waiting)
            self._waiting.pop(names[self._schedule(len(names))]).set()

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        self.turn()
        return super().resolve(reference)

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        self.turn()
        return super().get_manifest(reference)

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        self.turn()
        return super().put_manifest(content, media_type, tag=tag)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), groups=st.sampled_from([((0,), (1,)), ((0,), (1,), (2,)), ((0, 1), (1, 2), (3,))]))
def test_racing_pushers_lose_nothing(seed: int, groups: tuple[tuple[int, ...], ...]) -> None:
    """No lock, and every interleaving of their requests that the schedule comes to."""
    choose = random.Random(seed)
    store = MemoryRepository("store")
    whole, images = put_package(store, PLATFORMS)
    target = Interleaved(choose.randrange, len(groups))
    failures: list[BaseException] = []

    def push(number: int, group: tuple[int, ...]) -> None:
        target.enter(number)
        try:
            mine = {PLATFORMS[i]: images[PLATFORMS[i]] for i in group}
            # One request at a time per pusher, so that the schedule decides alone.
            publish(store, target, Publication("tag", mine, PLATFORMS, options=_SEQUENTIAL))
        except BaseException as problem:  # noqa: BLE001  # looked at below, in the test's own thread
            failures.append(problem)
        finally:
            target.leave()

    threads = [threading.Thread(target=push, args=pair) for pair in enumerate(groups)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    target.turn = lambda: None  # type: ignore[method-assign]
    pushed = {PLATFORMS[i] for i in itertools.chain(*groups)}
    assert set(read_index(target, "tag").images) == pushed
    if pushed == set(PLATFORMS):
        assert target.pointers["tag"] == whole.digest
    assert_whole(target, "tag")
