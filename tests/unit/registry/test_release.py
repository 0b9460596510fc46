"""Release files, and pointing many tags at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import ConfigError, Problems, RegistryError
from pkgtool.oci.documents import INDEX, Descriptor
from pkgtool.oci.registry.describe import describe_published
from pkgtool.oci.registry.errors import PartlyPointed, TagConflict
from pkgtool.oci.registry.point import Replacing, TagMove, point_tags
from pkgtool.release import Release, ReleasedImage, ReleasedPackage
from pkgtool.values import Digest, Platform
from tests.support.registry.images import put_package
from tests.support.registry.memory import MemoryRepository

digests = st.binary(min_size=1).map(Digest.of)
platforms = st.sampled_from([Platform("linux", "amd64"), Platform("linux", "arm64"), Platform("linux", "arm", "v7")])
sizes = st.integers(0, 2**50)
images = st.builds(ReleasedImage, platforms, digests, sizes, sizes)
packages = st.builds(
    ReleasedPackage,
    st.from_regex(r"[a-z]{1,9}", fullmatch=True),
    st.from_regex(r"[a-z]{1,9}/[a-z]{1,9}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{40}", fullmatch=True),
    st.builds(Descriptor, st.just(INDEX), digests, sizes),
    sizes,
    st.lists(images, max_size=3, unique_by=lambda i: i.platform).map(
        lambda found: tuple(sorted(found, key=lambda i: str(i.platform)))
    ),
)
releases = st.builds(
    Release,
    st.from_regex(r"v[0-9.]{1,8}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{40}", fullmatch=True),
    st.just("registry.example.com/team"),
    st.lists(packages, max_size=4, unique_by=lambda p: p.name).map(
        lambda found: tuple(sorted(found, key=lambda p: p.name))
    ),
    st.sampled_from(["", "v1"]),
)


@given(releases)
def test_a_release_comes_back_as_it_was(release: Release) -> None:
    assert Release.parse(release.encode(), what="release") == release
    assert Release.parse(release.encode(), what="release").encode() == release.encode()


def test_a_released_package_is_what_is_published() -> None:
    repository = MemoryRepository("registry.example/linuxkit/getty")
    index, _ = put_package(repository, tag="hash")
    found = describe_published(repository, "hash")
    assert found is not None
    package = ReleasedPackage.of("getty", "linuxkit/getty", "hash", found)
    assert package.index.digest == index.digest
    assert [str(image.platform) for image in package.images] == ["linux/amd64", "linux/arm64"]
    release = Release("v1", "0" * 40, "registry.example", (package,))
    assert Release.parse(release.encode(), what="release") == release


def test_fields_of_the_future_are_ignored_and_versions_are_not() -> None:
    release = Release("v1", "0" * 40, "localhost:5000", ())
    document = json.loads(release.encode())
    assert Release.parse(json.dumps({**document, "more": 1}).encode(), what="x") == release
    with pytest.raises(ConfigError, match="version") as caught:
        Release.parse(json.dumps({**document, "schemaVersion": 2}).encode(), what="x")
    assert "the pkgtool that made it" in str(caught.value.hint)


@pytest.mark.parametrize(
    "change", [{"name": "-bad"}, {"packages": [{}]}, {"packages": 3}, {"git": None}, {"name": None}]
)
def test_what_is_no_release(change: dict[str, object]) -> None:
    document = {**json.loads(Release("v1", "0" * 40, "localhost:5000", ()).encode()), **change}
    if change == {"name": None}:
        del document["name"]
    with pytest.raises(ConfigError):
        Release.parse(json.dumps(document).encode(), what="release.json")


def test_files(tmp_path: Path) -> None:
    release = Release("v1", "0" * 40, "localhost:5000", ())
    release.write(tmp_path / "release.json")
    assert Release.read(tmp_path / "release.json") == release
    with pytest.raises(ConfigError, match="can't be read"):
        Release.read(tmp_path / "absent.json")


@pytest.fixture
def repositories() -> list[MemoryRepository]:
    found = [MemoryRepository(f"registry.example/linuxkit/p{number}") for number in range(4)]
    for repository in found:
        put_package(repository, seed=repository.name, tag="hash")
    return found


def moves_of(repositories: list[MemoryRepository], tag: str = "v1.2") -> list[TagMove]:
    return [TagMove(repository, tag, repository.pointers["hash"]) for repository in repositories]


def test_all_tags_are_set_and_setting_them_again_is_one_request_each(repositories: list[MemoryRepository]) -> None:
    assert point_tags(moves_of(repositories)).set == 4
    assert all(repository.pointers["v1.2"] == repository.pointers["hash"] for repository in repositories)
    for repository in repositories:
        repository.calls.clear()
    assert point_tags(moves_of(repositories)).set == 0
    assert all(dict(repository.calls) == {"resolve": 1} for repository in repositories)


def test_one_conflict_and_no_tag_is_set(repositories: list[MemoryRepository]) -> None:
    moves = moves_of(repositories)
    put_package(repositories[2], seed="other", tag="v1.2")
    before = dict(repositories[2].pointers)
    with pytest.raises(TagConflict):
        point_tags(moves)
    assert repositories[2].pointers == before
    assert all("v1.2" not in repositories[number].pointers for number in (0, 1, 3))
    pointed = point_tags(moves, Replacing(("v1.2",)))
    assert pointed.set == 4
    assert pointed.replaced == ((str(moves[2]), before["v1.2"], moves[2].digest),)


def test_several_conflicts_are_all_told(repositories: list[MemoryRepository]) -> None:
    moves = moves_of(repositories)
    for repository in repositories[:2]:
        put_package(repository, seed="other", tag="v1.2")
    with pytest.raises(Problems) as caught:
        point_tags(moves)
    assert len(caught.value.problems) == 2


def test_a_digest_that_is_not_published(repositories: list[MemoryRepository]) -> None:
    with pytest.raises(RegistryError, match="not published"):
        point_tags([*moves_of(repositories), TagMove(repositories[0], "v9", Digest.of(b"x"))])
    assert all("v1.2" not in repository.pointers for repository in repositories)


def test_one_that_fails_is_told_and_a_second_run_ends_it(repositories: list[MemoryRepository]) -> None:
    broken = repositories[1]
    working = broken.put_manifest

    def fail(*_: object, **__: object) -> Descriptor:
        raise RegistryError("no space left")

    broken.put_manifest = fail  # type: ignore[method-assign]
    with pytest.raises(PartlyPointed, match="1 of 4") as caught:
        point_tags(moves_of(repositories))
    assert len(caught.value.done) == 3
    assert caught.value.failed == ((f"{broken.name}:v1.2", "no space left"),)
    broken.put_manifest = working  # type: ignore[method-assign]
    assert point_tags(moves_of(repositories)).set == 1
