"""What is asked of BuildKit for a build, read back field by field."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.engines.buildkit.solve import NO_CACHE, RegistryCache, solve_request
from pkgtool.engines.buildkit.wire import Message
from pkgtool.engines.interface import BuildRequest, Parent
from pkgtool.oci.documents import MANIFEST, Descriptor
from pkgtool.values import ImageRef, Platform

ARM64 = Platform("linux", "arm64")
MANIFEST_OF_BASE = Descriptor.of(b"base", MANIFEST)
BUILD = BuildRequest("getty linux/arm64", Path("/c"), "Dockerfile", ARM64, {"SOURCE_DATE_EPOCH": "7"})


def asked(build: BuildRequest = BUILD, cache: RegistryCache = NO_CACHE) -> Message:
    return Message(solve_request(build, "build-1", "session-1", cache))


def attributes(build: BuildRequest = BUILD) -> dict[str, str]:
    return asked(build).mapping(7)


def test_a_build() -> None:
    request = asked()
    assert (request.text(1), request.text(5), request.text(6)) == ("build-1", "session-1", "dockerfile.v0")
    assert request.mapping(7) == {
        "context": "https://buildkit-session/session-1",
        "filename": "Dockerfile",
        "platform": "linux/arm64",
        "build-arg:SOURCE_DATE_EPOCH": "7",
        "force-network-mode": "none",
    }
    (exporter,) = request.messages(13)
    assert (exporter.text(1), exporter.mapping(2)["tar"]) == ("oci", "false")


def test_the_network_and_the_cache_are_as_the_package_says() -> None:
    assert "force-network-mode" not in attributes(replace(BUILD, network=True))
    assert attributes(replace(BUILD, use_cache=False))["no-cache"] == ""


@pytest.mark.parametrize(
    ("reference", "looked_for"),
    [
        ("localhost/pkgtool/base:1-arm64", "localhost/pkgtool/base:1-arm64"),
        ("docker.io/pkgtool/base:1", "pkgtool/base:1"),
        ("docker.io/library/base:1", "base:1"),
        ("pkgtool/base", "pkgtool/base"),
        ("pkgtool/base:latest", "pkgtool/base"),
    ],
)
def test_parents_are_found_under_the_name_that_buildkit_looks_for(reference: str, looked_for: str) -> None:
    parent = Parent(ImageRef.parse(reference), MANIFEST_OF_BASE)
    place = f"oci-layout://pkgtool@{MANIFEST_OF_BASE.digest}"
    assert attributes(replace(BUILD, parents=(parent,)))[f"context:{looked_for}"] == place


def test_tools_bring_their_platform() -> None:
    assert attributes(replace(BUILD, tools=Platform("linux", "amd64")))["build-arg:BUILDPLATFORM"] == "linux/amd64"
    assert "build-arg:BUILDPLATFORM" not in attributes()


def test_a_cache_in_a_registry_has_a_tag_a_package_and_platform() -> None:
    cache = RegistryCache(("a.example/c",), ("localhost:5000/c",), frozenset(("localhost:5000",)))
    options = asked(cache=cache).inner(8)
    (told,) = json.loads(asked(cache=cache).mapping(7)["cache-imports"])
    assert told == {"Type": "registry", "Attrs": {"ref": "a.example/c:getty-linux-arm64"}}
    (source,), (target,) = options.messages(5), options.messages(4)
    assert (source.text(1), source.mapping(2)) == ("registry", {"ref": "a.example/c:getty-linux-arm64"})
    assert target.mapping(2) == {
        "ref": "localhost:5000/c:getty-linux-arm64",
        "registry.insecure": "true",
        "mode": "max",
        "ignore-error": "true",
    }


def test_a_build_without_cache_does_not_use_the_registrys_either() -> None:
    cache = RegistryCache(("a.example/c",), ("a.example/c",))
    found = asked(replace(BUILD, use_cache=False), cache)
    assert not found.has(8)
    assert "cache-imports" not in found.mapping(7)
