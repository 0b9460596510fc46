"""Locking Debian packages against a small archive that is signed, changes, moves and lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pkgtool.errors import InputError, PkgtoolError, ToolMissing, UsageError
from pkgtool.events import Event, Note
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.go_source import GoProxies
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.lock_diff import changes, render
from pkgtool.inputs.lock_reader import parse_lock
from pkgtool.inputs.lock_writer import format_lock
from pkgtool.inputs.mirrors import Mirrors
from pkgtool.inputs.request import Parents, request_of, staleness
from pkgtool.inputs.resolve import NOTHING, Resolver, Target
from pkgtool.inputs.stage import Staging, artifacts_of
from pkgtool.inputs.transfer import Limits
from pkgtool.model import DebianInput, Inputs, Package, Rootfs, TreeSettings
from pkgtool.oci.store import Store
from pkgtool.values import Digest, Platform
from tests.support.fake_archive import FakeArchive, SigningKey
from tests.support.faulty_server import FaultyServer

AMD64 = (Platform.parse("linux/amd64"),)
BOTH = (*AMD64, Platform.parse("linux/arm64"))


def artifacts(name: str, lock: Lock, settings: TreeSettings, proxies: str = "") -> list[Artifact]:
    """All that a lock pins, for all its architectures."""
    archs = lock.debian.request.architectures if lock.debian else ()
    return artifacts_of(Staging(name, lock, archs, 0), settings, proxies=GoProxies(proxies))


def package(name: str, *names: str, rootfs: Rootfs | None = None, platforms: tuple[Platform, ...] = AMD64) -> Package:
    return Package(
        name=name,
        org="linuxkit",
        path=f"pkg/{name}",
        tag_template="",
        platforms=platforms,
        context=(),
        source_url="",
        source_date_epoch=0,
        inputs=Inputs(debian=DebianInput("trixie", names)),
        rootfs=rootfs,
    )


@dataclass
class Bench:
    """A mirror that serves an archive, and a store to lock with."""

    server: FaultyServer
    archive: FakeArchive
    store: Store
    settings: TreeSettings
    events: list[Event] = field(default_factory=list)

    def publish(self, *, keep: bool = False, **options: str) -> None:
        files = self.archive.publish(**options)
        self.server.files = {**(self.server.files if keep else {}), **files}

    @contextmanager
    def resolver(self) -> Iterator[Resolver]:
        limits = Limits(attempts=1, silence=2)
        with (
            Fetcher(self.store, limits=limits, events=self.events.append) as fetcher,
            Resolver(fetcher, self.settings, keyring=str(self.archive.key.keyring)) as resolver,
        ):
            yield resolver

    def lock(
        self,
        wanted: Package,
        *,
        parents: Parents = (),
        previous: Lock | None = None,
        update: frozenset[str] | None = NOTHING,
    ) -> Lock:
        with self.resolver() as resolver:
            target = Target(wanted, Path(), parents, wanted.platforms)
            return resolver.resolve(target, previous=previous, update=update)

    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Note) and event.level == "warning"]


@pytest.fixture
def bench(server: FaultyServer, archive: FakeArchive, store: Store) -> Bench:
    settings = TreeSettings(debian_mirror=server.url, debian_snapshot="", debian_security_mirror="")
    return Bench(server, archive, store, settings)


def versions(lock: Lock, arch: str = "amd64") -> dict[str, str]:
    assert lock.debian
    return {deb.name: deb.version for deb in lock.debian.for_architecture(arch)}


def refused(bench: Bench, *names: str, **options: object) -> PkgtoolError:
    with pytest.raises(PkgtoolError) as caught:
        bench.lock(package("x", *names), **options)  # type: ignore[arg-type]
    return caught.value


# -- a first lock ---------------------------------------------------------------------------------------


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


# -- parents --------------------------------------------------------------------------------------------


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


# -- changing locks -------------------------------------------------------------------------------------


def two_packages(bench: Bench) -> Lock:
    for name in ("one", "two"):
        bench.archive.add(name, "1.0", Depends=f"lib{name}")
        bench.archive.add(f"lib{name}", "1.0")
    bench.publish()
    lock = bench.lock(package("x", "one", "two"))
    for name in ("one", "two"):
        bench.archive.add(name, "2.0", Depends=f"lib{name} (>= 2)")
        bench.archive.add(f"lib{name}", "2.0")
    bench.publish(keep=True, date="Sun, 13 Sep 2026 00:00:00 UTC")
    return lock


def test_a_lock_that_answers_is_kept_without_any_request(bench: Bench) -> None:
    lock = two_packages(bench)
    bench.server.requests.clear()
    assert bench.lock(package("x", "one", "two"), previous=lock) is lock
    assert not bench.server.requests


def test_an_update_moves_one_name_and_what_it_needs(bench: Bench) -> None:
    old = two_packages(bench)
    new = bench.lock(package("x", "one", "two"), previous=old, update=frozenset({"one"}))
    assert versions(new) == {"one": "2.0", "libone": "2.0", "two": "1.0", "libtwo": "1.0"}
    assert render(changes(old, new)) == (
        "archives:\n"
        "  ~ debian trixie 2026-09-12T07:55:41Z → 2026-09-13T00:00:00Z\n"
        "  + debian@20260912T075541Z trixie 2026-09-12T07:55:41Z\n"
        "Debian packages:\n"
        "  ~ libone 1.0 → 2.0 (amd64)\n"
        "  ~ one 1.0 → 2.0 (amd64)"
    )
    assert parse_lock(format_lock(new).encode(), "inputs.lock") == new


def test_what_stays_is_looked_for_in_its_own_snapshot(bench: Bench) -> None:
    old = two_packages(bench)
    new = bench.lock(package("x", "one", "two"), previous=old, update=frozenset({"one"}))
    settings = TreeSettings(debian_mirror="http://m", debian_snapshot="http://s/archive/debian")
    urls = {artifact.name: artifact.urls for artifact in artifacts("x", new, settings)}
    assert urls["one"] == (
        "http://m/pool/main/o/one/one_2.0_all.deb",
        "http://s/archive/debian/20260914T000000Z/pool/main/o/one/one_2.0_all.deb",
        "http://s/archive/debian/20260913T000000Z/pool/main/o/one/one_2.0_all.deb",
    )
    assert urls["two"] == (
        "http://m/pool/main/t/two/two_1.0_all.deb",
        "http://s/archive/debian/20260913T075541Z/pool/main/t/two/two_1.0_all.deb",
        "http://s/archive/debian/20260912T075541Z/pool/main/t/two/two_1.0_all.deb",
    )


def test_the_snapshot_archive_keeps_what_the_mirror_lost(bench: Bench, mirror: FaultyServer) -> None:
    old = two_packages(bench)
    for path in ("/pool/main/t/two/two_1.0_all.deb", "/pool/main/l/libtwo/libtwo_1.0_all.deb"):
        mirror.files[f"/archive/debian/20260913T075541Z{path}"] = bench.server.files.pop(path)
    bench.settings = TreeSettings(
        debian_mirror=bench.server.url, debian_snapshot=f"{mirror.url}/archive/debian", debian_security_mirror=""
    )
    new = bench.lock(package("x", "one", "two"), previous=old, update=frozenset({"one"}))
    assert versions(new)["two"] == "1.0"


def test_everything_moves_when_asked(bench: Bench) -> None:
    old = two_packages(bench)
    new = bench.lock(package("x", "one", "two"), previous=old, update=None)
    assert set(versions(new).values()) == {"2.0"}


def test_a_new_name_leaves_the_rest_alone(bench: Bench) -> None:
    old = two_packages(bench)
    bench.archive.add("three", Depends="libtwo")
    bench.publish(keep=True)
    new = bench.lock(package("x", "one", "two", "three"), previous=old)
    assert versions(new) == {**versions(old), "three": "1.0"}


def test_a_name_that_is_no_longer_asked_for_goes_with_what_it_needed(bench: Bench) -> None:
    old = two_packages(bench)
    assert versions(bench.lock(package("x", "two"), previous=old)) == {"two": "1.0", "libtwo": "1.0"}


def test_a_dependency_alone_can_be_moved(bench: Bench) -> None:
    old = two_packages(bench)
    new = bench.lock(package("x", "one", "two"), previous=old, update=frozenset({"libtwo"}))
    assert versions(new) == {"one": "1.0", "libone": "1.0", "two": "1.0", "libtwo": "2.0"}


def test_what_an_update_makes_superfluous_goes(bench: Bench) -> None:
    bench.archive.add("tool", "1.0", Depends="old-library")
    bench.archive.add("old-library")
    bench.publish()
    old = bench.lock(package("x", "tool"))
    bench.archive.add("tool", "2.0", Depends="new-library")
    bench.archive.add("new-library")
    bench.publish()
    new = bench.lock(package("x", "tool"), previous=old, update=frozenset({"tool"}))
    assert versions(new) == {"tool": "2.0", "new-library": "1.0"}


def test_a_version_that_is_gone_everywhere_moves_and_is_told(bench: Bench) -> None:
    two_packages(bench)
    old = bench.lock(package("x", "two"))
    bench.archive.add("libtwo", "3.0")
    bench.archive.add("three")
    bench.publish()
    new = bench.lock(package("x", "two", "three"), previous=old)
    assert versions(new) == {"two": "2.0", "libtwo": "3.0", "three": "1.0"}
    told = "libtwo 2.0 all of the old lock is gone from the mirror and the snapshot archive, so it moves"
    assert told in bench.warnings()


def test_a_dependency_that_no_longer_exists_takes_what_needs_it_along(bench: Bench) -> None:
    bench.archive.add("tool", "1.0", Depends="library1")
    bench.archive.add("library1")
    bench.archive.add("other")
    bench.publish()
    old = bench.lock(package("x", "tool", "other"))
    bench.archive.debs.pop(("library1", "all"))
    bench.archive.add("tool", "2.0", Depends="library2")
    bench.archive.add("library2")
    bench.archive.add("other", "2.0")
    bench.archive.add("third")
    bench.publish(date="Sun, 13 Sep 2026 00:00:00 UTC")
    bench.server.files["/pool/main/o/other/other_1.0_all.deb"] = b"".join(
        deb.content for deb in [bench.archive.add("other", "1.0")]
    )
    new = bench.lock(package("x", "tool", "other", "third"), previous=old)
    assert versions(new) == {"tool": "2.0", "library2": "1.0", "other": "1.0", "third": "1.0"}


def test_a_package_that_moved_to_another_place_in_the_pool(bench: Bench) -> None:
    old = two_packages(bench)
    bench.archive.add("three")
    deb = bench.archive.add("two", "1.0", Depends="libtwo")
    bench.archive.add("libtwo", "1.0")
    deb.path = "pool/updates/main/t/two/two_1.0_all.deb"
    bench.publish()
    new = bench.lock(package("x", "one", "two", "three"), previous=old)
    assert new.debian
    assert deb.path in [found.path for found in new.debian.debs]


def test_an_unknown_name_to_update(bench: Bench) -> None:
    old = two_packages(bench)
    error = refused(bench, "one", "two", previous=old, update=frozenset({"libtow"}))
    assert isinstance(error, UsageError)
    assert (error.message, error.hint) == ("x has no input named libtow", "did you mean libtwo?")


# -- staleness ------------------------------------------------------------------------------------------


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


# -- archives that lie ----------------------------------------------------------------------------------


def test_names_that_do_not_exist(bench: Bench) -> None:
    bench.archive.add("tool")
    bench.publish()
    error = refused(bench, "tool", "tol", "missing")
    assert error.message == "apt can't install the packages for amd64"
    assert error.details == ("Unable to locate package missing", "Unable to locate package tol")
    assert error.hint == "correct the Debian packages in the build.yml of x"


def test_dependencies_that_can_not_be_met(bench: Bench) -> None:
    bench.archive.add("tool", Depends="absent (>= 2)")
    bench.publish()
    error = refused(bench, "tool")
    assert "tool : Depends: absent (>= 2) but it is not installable" in " ".join(error.details)


def test_a_changed_release_file_is_refused(bench: Bench) -> None:
    bench.archive.add("tool")
    bench.publish()
    path = "/dists/trixie/InRelease"
    bench.server.files[path] = bench.server.files[path].replace(b"Label: Debian", b"Label: debian")
    error = refused(bench, "tool")
    assert error.message == f"the Debian archive can't be used: {bench.server.url} trixie"
    assert any("BADSIG" in line for line in error.details)
    assert error.hint == (
        "the archive is not what it claims to be, or its keys are newer: install debian-archive-keyring anew"
    )


def test_an_unknown_key_is_refused(bench: Bench, tmp_path: Path) -> None:
    bench.archive.add("tool")
    other = SigningKey.make(tmp_path, "Other")
    try:
        trusted, bench.archive.key = bench.archive.key, other
        bench.publish()
        bench.archive.key = trusted
        error = refused(bench, "tool")
    finally:
        other.stop()
    assert any("NO_PUBKEY" in line for line in error.details)


def test_an_unsigned_archive_is_refused(bench: Bench) -> None:
    bench.archive.add("tool")
    bench.publish()
    signed = bench.server.files.pop("/dists/trixie/InRelease")
    bench.server.files["/dists/trixie/Release"] = signed.split(b"\n\n", 1)[1].split(b"-----BEGIN PGP SIG")[0]
    error = refused(bench, "tool")
    assert any("is not signed" in line for line in error.details)


def test_a_changed_list_is_refused(bench: Bench) -> None:
    bench.archive.add("tool")
    bench.publish()
    path = "/dists/trixie/main/binary-amd64/Packages.xz"
    bench.server.files[path] = bench.server.files[path][:-4] + b"!!!!"
    error = refused(bench, "tool")
    assert any("Hash Sum mismatch" in line for line in error.details)


def test_a_mirror_without_the_suite(bench: Bench) -> None:
    error = refused(bench, "tool")
    assert any("does not have a Release file" in line for line in error.details)
    assert error.hint is not None
    assert error.hint.startswith("check the address")


def test_an_architecture_that_the_suite_does_not_have(bench: Bench) -> None:
    bench.archive.add("tool")
    bench.server.files = bench.archive.publish(architectures=("amd64",))
    with pytest.raises(InputError) as caught:
        bench.lock(package("x", "tool", platforms=BOTH))
    assert caught.value.message == f"{bench.server.url} trixie has no packages for arm64"
    assert caught.value.hint == "take arm64 out of the package's arches, or choose a suite that has it"


def test_a_closed_network_has_its_own_mirror(bench: Bench) -> None:
    bench.archive.add("tool")
    bench.publish()
    bench.settings = replace(bench.settings, debian_mirror="http://closed.example/debian")
    rules = Mirrors((("http://closed.example/debian", bench.server.url),))
    wanted = package("x", "tool")
    with (
        Fetcher(bench.store, mirrors=rules) as fetcher,
        Resolver(fetcher, bench.settings, keyring=str(bench.archive.key.keyring)) as resolver,
    ):
        lock = resolver.resolve(Target(wanted, Path(), (), wanted.platforms), previous=None)
        assert "127.0.0.1" not in format_lock(lock), "a lock does not say whose mirror it was made with"
        assert len(fetcher.fetch(artifacts("x", lock, bench.settings))) == 1


def test_a_missing_keyring(bench: Bench, tmp_path: Path) -> None:
    bench.archive.add("tool")
    bench.publish()
    with Fetcher(bench.store) as fetcher, Resolver(fetcher, bench.settings, keyring=str(tmp_path / "none")) as resolver:
        wanted = package("x", "tool")
        with pytest.raises(ToolMissing) as caught:
            resolver.resolve(Target(wanted, Path(), (), wanted.platforms), previous=None)
    assert caught.value.hint == "sudo apt-get install debian-archive-keyring"


def test_offline_does_not_ask(bench: Bench) -> None:
    bench.archive.add("tool")
    bench.publish()
    with Fetcher(bench.store, offline=True) as fetcher, Resolver(fetcher, bench.settings) as resolver:
        wanted = package("x", "tool")
        with pytest.raises(InputError, match="offline"):
            resolver.resolve(Target(wanted, Path(), (), wanted.platforms), previous=None)
    assert not bench.server.requests
