"""Locks of Debian packages that change: what moves, and what stays."""

from __future__ import annotations

from pkgtool.errors import UsageError
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.lock_diff import changes, render
from pkgtool.inputs.lock_reader import parse_lock
from pkgtool.inputs.lock_writer import format_lock
from pkgtool.model import TreeSettings
from tests.support.debian_bench import Bench, package, refused, versions
from tests.support.faulty_server import FaultyServer
from tests.support.locked_inputs import artifacts


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
