"""Debian archives that lie, lack something, or can't be asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.errors import InputError, ToolMissing
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.lock_writer import format_lock
from pkgtool.inputs.mirrors import Mirrors
from pkgtool.inputs.resolve import Resolver, Target
from tests.support.debian_bench import BOTH, Bench, package, refused
from tests.support.fake_archive import SigningKey
from tests.support.locked_inputs import artifacts


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
