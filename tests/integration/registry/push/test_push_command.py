"""`pkgtool push` and `manifest` on made trees: what is sent, and what is said about it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from tests.support.command_line import CommandLine
from tests.support.registry.built_tree import fill
from tests.support.registry.images import AMD64, ARM64
from tests.support.registry.pushed import assert_published, tag_of
from tests.support.registry.server import Modes, serving
from tests.support.tree import TreeBuilder

PACKAGES = ("alpha", "beta", "gamma", "delta")
PLATFORMS = (AMD64, ARM64)


def test_what_a_push_sends_is_counted_at_the_server(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    """Everything once; then nothing and a request a tag; then what changed, alone."""
    built = fill(pkgtool, base=200_000)
    with serving() as state:
        first = pkgtool("push", "--registry", state.address, "--json").ok()
        assert {step["result"] for step in first.json["steps"]} == {"pushed"}
        assert_published(state, pkgtool, built)
        base_layers, own = 2 * 201_000, len(PACKAGES) * len(PLATFORMS) * 4_000
        assert 2 * 200_000 < state.received < base_layers + own, "the common layer once a platform"
        uploads = [seen.path for seen in state.seen if seen.method == "PUT" and "/blobs/" in seen.path]
        assert len(uploads) == len(PACKAGES) * len(PLATFORMS) * 2 + len(PLATFORMS), "configuration and layer, and bases"
        manifests = Counter(seen.path for seen in state.seen if seen.method == "PUT" and "/manifests/" in seen.path)
        assert set(manifests.values()) == {1}, "no manifest twice"
        state.forget()

        again = pkgtool("push", "--registry", state.address, "--json").ok()
        assert {step["result"] for step in again.json["steps"]} == {"unchanged"}
        assert state.received == 0
        assert state.count() == {"HEAD": len(PACKAGES)}, "one request a package"
        state.forget()

        packages.write("pkg/gamma/content", "changed\n")
        packages.commit()
        built |= fill(pkgtool, packages=["gamma"], base=200_000)
        third = pkgtool("push", "--registry", state.address, "--json").ok()
        assert {s["package"]: s["result"] for s in third.json["steps"] if s["result"] != "unchanged"} == {
            "gamma": "pushed"
        }
        sent = [seen for seen in state.seen if seen.method not in ("GET", "HEAD")]
        assert all(seen.path.startswith("/v2/linuxkit/gamma/") for seen in sent)
        assert state.received < len(PLATFORMS) * 4_000, "its own layers, no base"
        others = Counter(seen.path.split("/")[3] for seen in state.seen)
        assert all(others[name] == 1 for name in PACKAGES if name != "gamma")
        assert_published(state, pkgtool, built)


def test_a_push_of_nothing_new_loads_what_it_needs_alone(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    """Most of its time is Python's start: what builds, signs, fetches or reads credentials stays on the disk."""
    fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        state.forget()
        # `-v` of Python itself says what is imported, as it happens.
        command = [sys.executable, "-v", *pkgtool.command("push", "--registry", state.address)[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert set(state.count()) == {"HEAD"}
    loaded = set(re.findall(r"^import '([\w.]+)'", done.stderr, re.MULTILINE))
    assert {"pkgtool.workflows.push", "httpx2"} <= loaded
    heavy = (
        "pkgtool.signing",
        "pkgtool.sbom",
        "pkgtool.inputs",
        "pkgtool.engines",
        "pkgtool.policy",
        "pkgtool.release",
    )
    others = ("pkgtool.actions.build", "cryptography", "docker", "tenacity", "pydantic", "rich", "sigstore", "tuf")
    assert not {name for name in loaded for bad in (*heavy, *others) if name == bad or name.startswith(f"{bad}.")}


def test_one_platform_then_the_other(packages: TreeBuilder, pkgtool: CommandLine, tmp_path: Path) -> None:
    """From two machines: each has the images of its own platform alone."""
    other = CommandLine(packages.root, tmp_path / "other-store")
    built = fill(pkgtool)
    fill(other)
    with serving() as state:
        pkgtool("push", "--registry", state.address, "--platform", "linux/amd64").ok()
        shown = pkgtool("manifest", "--registry", state.address, "--json").ok().json
        assert {p["platform"] for item in shown for p in item["platforms"]} == {"linux/amd64"}
        other("push", "--registry", state.address, "--platform", "linux/arm64").ok()
        assert_published(state, pkgtool, built)
        state.forget()
        pkgtool("push", "--registry", state.address).ok()
        assert set(state.count()) == {"HEAD"}


def test_what_is_published_is_shown(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    built = fill(pkgtool)
    with serving() as state:
        absent = pkgtool("manifest", "--registry", state.address, "alpha")
        assert absent.code == ExitCode.REGISTRY
        assert "not published" in absent.err
        pkgtool("push", "--registry", state.address).ok()
        lines = pkgtool("manifest", "--registry", state.address, "alpha").ok().out.splitlines()
        assert len(lines) == 1 + len(PLATFORMS)
        assert all(str(built["alpha"][p].digest) in lines[n + 1] for n, p in enumerate(PLATFORMS))
        document = pkgtool("manifest", "--registry", state.address, "--json", "alpha").ok().json[0]
        index = state.tags["linuxkit/alpha", tag_of(pkgtool, "alpha")]
        assert document["index"] == index
        assert [p["digest"] for p in document["platforms"]] == [str(built["alpha"][p].digest) for p in PLATFORMS]


def test_a_path_prefix_stands_before_every_repository(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", f"{state.address}/team/images").ok()
        assert {name for name, _ in state.tags} == {f"team/images/linuxkit/{name}" for name in PACKAGES}
        state.forget()
        pkgtool("push", "--registry", f"{state.address}/team/images").ok()
        assert state.received == 0


@pytest.mark.parametrize(
    "modes",
    [Modes(mount=False), Modes(whole=False), Modes(parts=False), Modes(referrers=False), Modes(head_digest=False)],
    ids=["no mount", "parts only", "whole only", "no referrers", "no digest in HEAD"],
)
def test_registries_with_habits(modes: Modes, packages: TreeBuilder, pkgtool: CommandLine) -> None:
    built = fill(pkgtool)
    with serving(modes) as state:
        pkgtool("push", "--registry", state.address).ok()
        assert_published(state, pkgtool, built)
