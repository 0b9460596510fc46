"""Debian packages locked for the first time, beside parents, and whether a lock still answers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.lock_reader import parse_lock
from pkgtool.inputs.lock_writer import format_lock
from pkgtool.inputs.request import Parents, request_of, staleness
from pkgtool.model import Package, Rootfs, TreeSettings
from pkgtool.values import Digest
from tests.support.debian_bench import BOTH, Bench, package, refused, versions
from tests.support.fake_archive import FakeArchive, SigningKey
from tests.support.faulty_server import FaultyServer
from tests.support.locked_inputs import artifacts


def test_a_closure_with_its_hashes(bench: Bench) -> None:
    deb = bench.archive.add("tool", "1:2.0-1", arch="amd64", Depends="library (>= 1), helper | other")
    bench.archive.add("library", "1.5")
    bench.archive.add("helper")
    bench.archive.add("other")
    bench.archive.add("stranger")
    bench.publish()
    lock = bench.lock(package("x", "tool"))
    assert versions(lock) == {"tool": "1:2.0-1", "library": "1.5", "helper": "1.0"}
    assert lock.date == datetime(2026, 9, 12, 7, 55, 41, tzinfo=UTC)
    assert lock.debian
    [tool] = [found for found in lock.debian.debs if found.name == "tool"]
    assert tool.content.digest == Digest.of(deb.content)
    assert tool.content.size == len(deb.content)
    assert tool.path == "pool/main/t/tool/tool_2.0-1_amd64.deb"
    [archive] = lock.debian.archives
    assert archive.inrelease == Digest.of(bench.server.files["/dists/trixie/InRelease"])
    assert parse_lock(format_lock(lock).encode(), "inputs.lock") == lock


def test_what_is_locked_can_be_fetched(bench: Bench) -> None:
    bench.archive.add("a+b", "1:1.0~rc1+really")
    bench.publish()
    lock = bench.lock(package("x", "a+b"))
    with Fetcher(bench.store) as fetcher:
        [artifact] = fetcher.fetch(artifacts("x", lock, bench.settings))
    assert bench.store.input_path(artifact.digest).exists()


def test_two_locks_of_one_state_are_the_same_bytes(bench: Bench) -> None:
    bench.archive.add("tool", Depends="library")
    bench.archive.add("library")
    bench.publish()
    assert format_lock(bench.lock(package("x", "tool"))) == format_lock(bench.lock(package("x", "tool")))


def test_recommendations_stay_out(bench: Bench) -> None:
    bench.archive.add("tool", Recommends="extra")
    bench.archive.add("extra")
    bench.publish()
    assert versions(bench.lock(package("x", "tool"))) == {"tool": "1.0"}


def test_each_architecture_has_its_own_closure(bench: Bench) -> None:
    for arch in ("amd64", "arm64"):
        bench.archive.add("tool", "2.0", arch=arch, Depends="common" + (", special" if arch == "arm64" else ""))
    bench.archive.add("common")
    bench.archive.add("special")
    bench.publish()
    lock = bench.lock(package("x", "tool", platforms=BOTH))
    assert versions(lock, "amd64") == {"tool": "2.0", "common": "1.0"}
    assert versions(lock, "arm64") == {"tool": "2.0", "common": "1.0", "special": "1.0"}
    text = format_lock(lock)
    assert "arch: all, for: [arm64]" in text
    assert text.count("name: common") == 1
    assert parse_lock(text.encode(), "inputs.lock") == lock


def test_a_root_file_system_brings_what_its_variant_means(bench: Bench) -> None:
    bench.archive.add("base", Essential="yes", Priority="required", Depends="libc")
    bench.archive.add("libc", Priority="optional")
    bench.archive.add("wanted-by-minbase", Priority="required")
    bench.archive.add("apt", Priority="important")
    bench.archive.add("tool")
    bench.publish()

    def of(variant: str) -> set[str]:
        return set(versions(bench.lock(package("x", "tool", rootfs=Rootfs(variant=variant)))))

    assert of("custom") == {"tool"}
    assert of("essential") == {"tool", "base", "libc"}
    assert of("apt") == {"tool", "base", "libc", "apt"}
    assert of("required") == {"tool", "base", "libc", "wanted-by-minbase"}
    assert of("minbase") == {"tool", "base", "libc", "wanted-by-minbase", "apt"}
    assert of("important") == {"tool", "base", "libc", "wanted-by-minbase", "apt"}


def test_security_updates_come_from_their_own_archive(
    bench: Bench, mirror: FaultyServer, archive_key: SigningKey, tmp_path: Path
) -> None:
    bench.archive.add("tool", "1.0")
    bench.publish()
    place = tmp_path / "security"
    place.mkdir()
    security = FakeArchive(place, archive_key, "trixie-security")
    security.add("tool", "1.0+deb13u1")
    mirror.files = security.publish("Sun, 13 Sep 2026 00:00:00 UTC")
    bench.settings = TreeSettings(
        debian_mirror=bench.server.url,
        debian_snapshot="",
        debian_security_mirror=mirror.url,
        debian_security_snapshot="",
    )
    lock = bench.lock(package("x", "tool"))
    assert versions(lock) == {"tool": "1.0+deb13u1"}
    assert lock.debian
    assert lock.debian.debs[0].archive == "debian-security"
    assert lock.date == datetime(2026, 9, 13, tzinfo=UTC)
    [artifact] = artifacts("x", lock, bench.settings)
    assert artifact.urls[0].startswith(mirror.url)


def test_what_parents_hold_is_left_out(bench: Bench) -> None:
    bench.archive.add("libc")
    bench.archive.add("tool", Depends="libc, library")
    bench.archive.add("library", Depends="libc")
    bench.publish()
    base = bench.lock(package("base", "libc"))
    assert versions(bench.lock(package("x", "tool"), parents=[("base", base)])) == {"tool": "1.0", "library": "1.0"}


def test_a_parent_that_the_mirror_no_longer_has_still_counts(bench: Bench) -> None:
    bench.archive.add("libc", "1.0")
    bench.publish()
    base = bench.lock(package("base", "libc"))
    bench.archive.add("libc", "2.0")
    bench.archive.add("tool", Depends="libc")
    bench.publish(keep=True)
    assert versions(bench.lock(package("x", "tool"), parents=[("base", base)])) == {"tool": "1.0"}


def test_a_newer_version_of_what_a_parent_holds_is_taken_where_needed(bench: Bench) -> None:
    bench.archive.add("libc", "1.0")
    bench.archive.add("libc-bin", "1.0", Depends="libc (= 1.0)")
    bench.publish()
    base = bench.lock(package("base", "libc-bin"))
    bench.archive.add("libc", "2.0")
    bench.archive.add("libc-bin", "2.0", Depends="libc (= 2.0)")
    bench.archive.add("tool", Depends="libc (>= 2)")
    bench.publish(keep=True)
    child = bench.lock(package("x", "tool"), parents=[("base", base)])
    assert versions(child) == {"tool": "1.0", "libc": "2.0", "libc-bin": "2.0"}


def test_a_parent_that_is_gone_is_named(bench: Bench) -> None:
    bench.archive.add("libc", "1.0")
    bench.publish()
    base = bench.lock(package("base", "libc"))
    bench.archive.add("libc", "2.0")
    bench.archive.add("tool")
    bench.publish()
    error = refused(bench, "tool", parents=[("base", base)])
    assert error.message == "libc 1.0 all could not be fetched from its only place"
    assert error.hint == "it is gone; 'pkgtool lock --update libc base' locks what is there now"


def test_staleness_is_told_without_network(bench: Bench) -> None:
    bench.archive.add("libc")
    bench.archive.add("tool")
    bench.publish()
    base = bench.lock(package("base", "libc"))
    lock = bench.lock(package("x", "tool"), parents=[("base", base)])
    bench.server.requests.clear()

    def told(wanted: Package, parents: Parents) -> tuple[str, ...]:
        return staleness(lock, request_of(wanted, parents, bench.settings, wanted.platforms, Path()))

    assert told(package("x", "tool"), [("base", base)]) == ()
    assert told(package("x", "tool", "libc"), [("base", base)]) == ("Debian package libc is not in the lock",)
    assert told(package("x", "tool"), []) == ("parent base is no longer asked for",)
    assert told(package("x", "tool", platforms=BOTH), [("base", base)]) == ("architecture arm64 is not in the lock",)
    bench.archive.add("libc", "2.0")
    bench.publish()
    moved = bench.lock(package("base", "libc"), update=None, previous=base)
    bench.server.requests.clear()
    assert told(package("x", "tool"), [("base", moved)]) == ("base, which it is FROM, has other Debian packages now",)
    assert not bench.server.requests
