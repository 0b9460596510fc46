"""Jobs that share out a push: whatever their order, their retries and their ends, the indexes come out the same."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pkgtool.oci.registry.publish import read_index
from pkgtool.oci.registry.repository import Registry
from tests.support.command_line import CommandLine
from tests.support.registry.registries import docker_registry
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("shards")]

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/riscv64")
PACKAGES = ("base", "one", "two")
Indexes = dict[str, str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A tree of three packages for three platforms, built."""
    place = tmp_path_factory.mktemp("built")
    tree = TreeBuilder(place / "tree")
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Test")
            patch.setenv(f"GIT_{who}_EMAIL", "test@example.com")
        tree.init()
        runners = "ci: {runners: {linux/riscv64: own}}\n"
        tree.write("pkgtool.yml", f"org: test\nplatforms: [{', '.join(PLATFORMS)}]\n{runners}")
        arches = f"arches: [{', '.join(p.removeprefix('linux/') for p in PLATFORMS)}]\n"
        tree.package("base", arches)
        for name in PACKAGES[1:]:
            dockerfile = f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nCOPY content /{name}\n"
            tree.package(name, f"{arches}depends:\n  packages: [base]\n", dockerfile=dockerfile)
        tree.commit()
    line = CommandLine(tree.root, place / "store")
    # One at a time: what several buildahs do at once is another test's affair.
    line("build", "--engine", "buildah", "--jobs", "1", "--platform", ",".join(PLATFORMS)).ok()
    return line


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def expected(built: CommandLine, host: str) -> Indexes:
    """The indexes that one job alone makes."""
    built("push", "--no-build", "--registry", f"{host}/alone").ok()
    return indexes(built, f"{host}/alone")


def indexes(line: CommandLine, registry: str) -> Indexes:
    """The digest under each package's tag, after a look into it: every platform, and nothing else."""
    found = {}
    with Registry(registry) as opened:
        for name in PACKAGES:
            reference = line("show-tag", name).ok().out.strip()
            repository, tag = reference.removeprefix("docker.io/").rsplit(":", 1)
            index = read_index(opened.repository(repository), tag)
            assert index.descriptor, f"{registry} has no {reference}"
            assert [str(platform) for platform in sorted(index.images)] == list(PLATFORMS)
            found[name] = str(index.descriptor.digest)
    return found


class Shards:
    """A machine for each platform: a store of its own, with what it has built."""

    def __init__(self, built: CommandLine, registry: str, place: Path) -> None:
        self.registry = registry
        self._lines = {}
        for platform in PLATFORMS:
            store = place / platform.replace("/", "-")
            shutil.copytree(built.store, store, symlinks=True)
            self._lines[platform] = CommandLine(built.directory, store)

    def arguments(self, platform: str, *more: str) -> list[str]:
        return ["push", "--no-build", "--registry", self.registry, "--platform", platform, *more]

    def push(self, platform: str, *more: str) -> None:
        self._lines[platform](*self.arguments(platform, *more)).ok()

    def kill_one(self, platform: str, seconds: float) -> None:
        """Begin to push, and die in the middle of it (or at its end)."""
        with self._lines[platform].start(*self.arguments(platform)) as process:
            try:
                process.communicate(timeout=seconds)
            except Exception:  # noqa: BLE001
                process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("order", list(itertools.permutations(PLATFORMS)), ids=lambda o: "-".join(p[6:] for p in o))
def test_any_order_with_retries(
    built: CommandLine, host: str, expected: Indexes, tmp_path: Path, order: Sequence[str]
) -> None:
    rng = random.Random("".join(order))
    shards = Shards(built, f"{host}/order/{'-'.join(p[6:] for p in order)}", tmp_path)
    for number, platform in enumerate(order):
        shards.push(platform)
        shards.push(rng.choice(order[: number + 1]))
    assert indexes(built, shards.registry) == expected


def test_all_at_once(built: CommandLine, host: str, expected: Indexes, tmp_path: Path) -> None:
    shards = Shards(built, f"{host}/at-once", tmp_path)
    running = [shards._lines[platform].start(*shards.arguments(platform)) for platform in PLATFORMS]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert indexes(built, shards.registry) == expected


def test_shards_that_die_and_are_started_again(
    built: CommandLine, host: str, expected: Indexes, tmp_path: Path
) -> None:
    shards = Shards(built, f"{host}/killed", tmp_path)
    for seconds, platform in zip((0.4, 0.7, 1.0), PLATFORMS, strict=True):
        shards.kill_one(platform, seconds)
    for platform in reversed(PLATFORMS):
        shards.push(platform)
    assert indexes(built, shards.registry) == expected


@pytest.fixture
def last(built: CommandLine, tmp_path: Path) -> CommandLine:
    """The last job: a machine that has built nothing."""
    return CommandLine(built.directory, tmp_path / "empty")


def test_the_last_job_makes_the_indexes(
    built: CommandLine, host: str, expected: Indexes, tmp_path: Path, last: CommandLine
) -> None:
    shards = Shards(built, f"{host}/last", tmp_path)
    for platform in (PLATFORMS[1], PLATFORMS[0], PLATFORMS[1], PLATFORMS[2]):
        shards.push(platform, "--no-index")
    with Registry(shards.registry) as registry:
        tags = registry.repository("test/one").tags()
        assert sorted(tag.rpartition("-")[2] for tag in tags) == ["amd64", "arm64", "riscv64"], "no index so far"
    for outcome in ("pushed", "unchanged"):
        done = last("push", "--no-build", "--registry", shards.registry, "--json").ok().json
        assert {step["result"] for step in done["steps"]} == {outcome}
        assert {step["package"]: step["index"] for step in done["steps"]} == expected
    assert sum(step["sent"] for step in done["steps"]) == 0
    assert indexes(built, shards.registry) == expected


def test_the_last_job_is_right_when_a_shard_had_nothing_to_do(
    built: CommandLine, host: str, expected: Indexes, tmp_path: Path, last: CommandLine
) -> None:
    """What one platform needs may be published already, and its shard does not run."""
    shards = Shards(built, f"{host}/idle", tmp_path)
    shards.push(PLATFORMS[2])
    for platform in PLATFORMS[:2]:
        shards.push(platform, "--no-index")
    last("push", "--no-build", "--registry", shards.registry).ok()
    assert indexes(built, shards.registry) == expected
    matrix = last("ci", "matrix", "--unpublished", "--registry", shards.registry).ok().json
    assert matrix == {"waves": []}


def test_what_is_not_published_is_what_jobs_are_for(
    built: CommandLine, host: str, tmp_path: Path, last: CommandLine
) -> None:
    shards = Shards(built, f"{host}/part", tmp_path)
    shards.push(PLATFORMS[0], "--no-index", "base", "one")
    shards.push(PLATFORMS[1], "--no-index", "base")
    arguments = ("ci", "matrix", "--unpublished", "--registry", shards.registry, "--shards", "1")
    runners = tmp_path / "timings.json"
    runners.write_text(json.dumps({}))
    jobs = last(*arguments, "--platform", ",".join(PLATFORMS[:2]), "--timings", str(runners)).ok().json["waves"]
    assert [(job["platform"], job["packages"]) for wave in jobs for job in wave] == [
        ("linux/amd64", "two"),
        ("linux/arm64", "one two"),
    ]


def test_an_image_for_another_platform_is_not_taken(
    built: CommandLine, host: str, tmp_path: Path, last: CommandLine
) -> None:
    shards = Shards(built, f"{host}/mixed", tmp_path)
    shards.push(PLATFORMS[0], "--no-index", "base")
    tag = built("show-tag", "base").ok().out.strip().rsplit(":", 1)[1]
    with Registry(shards.registry) as registry:
        repository = registry.repository("test/base")
        found = repository.get_manifest(f"{tag}-amd64")
        assert found
        repository.put_manifest(found[1], found[0].media_type, tag=f"{tag}-arm64")
    ended = last("pull", "--registry", shards.registry, "--platform", PLATFORMS[1], "base")
    assert ended.code == 9
    assert "has an image for linux/amd64 in the place of the one for linux/arm64" in ended.err
