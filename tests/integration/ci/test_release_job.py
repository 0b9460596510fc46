"""`make ci-release` in a clean clone: the release job's steps, twice."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.policy.reader import read_policy
from pkgtool.release import Release
from tests.support import sid_tools
from tests.support.ci_release import STEPS, published, workflow
from tests.support.command_line import PROJECT
from tests.support.registry.registries import docker_registry

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("release job")]

VERSION = "v1.2"
PACKAGES = ("base", "getty")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone of this repository as it is committed, and what `make ci-release` left there."""
    place = tmp_path_factory.mktemp("clone") / "tree"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(place)], check=True)
    # The programs of this checkout serve the clone as well: setting it up again would take a minute.
    settings = [f"VENV={Path(sys.executable).parents[1]}", "READY=", "TEST_READY="]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PKGTOOL_"))}
    environment |= {"PLATFORM": "linux/amd64", "PACKAGES": " ".join(PACKAGES), "VERSION": VERSION}
    environment |= {"PYTHONPATH": str(place), "PKGTOOL_TESTS_CACHE": os.environ["PKGTOOL_TESTS_CACHE"]}
    done = subprocess.run(
        ["make", "ci-release", *settings], cwd=place, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (place / "output").write_text(done.stdout + done.stderr)
    return place


@pytest.fixture(scope="module")
def output(clone: Path) -> str:
    return (clone / "output").read_text()


@pytest.fixture(scope="module")
def release(clone: Path) -> Release:
    return Release.read(clone / f"dist/ci-release/files/{VERSION}.json")


def test_every_step_runs_twice_and_the_second_time_changes_nothing(output: str) -> None:
    for run in ("first", "second"):
        assert [f"== {run} run: make {step}" in output for step in STEPS] == [True] * len(STEPS)
    first, second = (line for line in output.splitlines() if " run: " in line and line.endswith("changed"))
    count = first.split()[2]
    assert first == f"first run: {count} tags, {count} of them changed"
    assert second == f"second run: {count} tags, 0 of them changed"
    assert int(count) > 20


def test_cosign_and_the_policy_accept_it(output: str, release: Release) -> None:
    assert [package.name for package in release.packages] == sorted(PACKAGES)
    assert output.count(f"cosign accepts all 4 manifests of {VERSION}") == 2
    accepted = [line for line in output.splitlines() if line.startswith("accepted") and "SLSA Build L2" in line]
    assert len(accepted) == 2 * len(PACKAGES)
    assert "REFUSED" not in output


def test_the_public_registry_has_all_of_it(clone: Path, release: Release) -> None:
    staging, public = (published(clone / "dist/ci-release" / name) for name in ("staging", "public"))
    assert staging == public
    for package in release.packages:
        assert public[f"{package.repository}/_manifests/tags/{VERSION}"] == str(package.index.digest)
        assert public[f"{package.repository}/_manifests/tags/{package.tag}"] == str(package.index.digest)


def test_provenance_names_the_workflow(clone: Path, release: Release) -> None:
    """Read by hand from the registry's files: the predicate's builder, its run, and its source."""
    found = list(statements(clone / "dist/ci-release/staging", "https://slsa.dev/provenance/v1"))
    by_subject = {f"sha256:{statement['subject'][0]['digest']['sha256']}": statement for statement in found}
    for package in release.packages:
        for digest in (package.index.digest, *(image.digest for image in package.images)):
            predicate = by_subject[str(digest)]["predicate"]
            assert predicate["runDetails"]["builder"]["id"] == f"https://github.com/{workflow(VERSION)}"
            invocation = predicate["runDetails"]["metadata"]["invocationId"]
            assert invocation == "https://github.com/pkgtool/pkgtool/actions/runs/1/attempts/1"
            source = predicate["buildDefinition"]["resolvedDependencies"][0]
            assert source["digest"]["gitCommit"] == release.commit
            assert source["annotations"]["dirty"] is False


def statements(registry: Path, predicate_type: str) -> Iterator[dict]:
    """The signed statements in the registry's blobs."""
    for blob in registry.glob("data/docker/registry/v2/blobs/sha256/*/*/data"):
        content = blob.read_bytes()
        if content.startswith(b"{") and b"payloadType" in content:
            document = json.loads(content)
            envelope = document.get("dsseEnvelope", document)
            statement = json.loads(base64.b64decode(envelope["payload"]))
            if statement.get("predicateType") == predicate_type:
                yield statement


def test_another_workflow_is_not_believed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy that the job makes accepts nobody but the workflows of this repository."""
    monkeypatch.chdir(clone / "dist/ci-release/files")
    policy = read_policy(Path("policy.yml"))
    identity = policy.signers["release"].identity_pattern
    assert identity
    right = f"https://github.com/{workflow(VERSION)}"
    assert identity.fullmatch(right)
    for wrong in (
        right.replace("pkgtool/pkgtool/", "pkgtool/other/"),
        right.replace("release.yml", "rebuild.yml"),
        right.replace("refs/tags/v", "refs/heads/v"),
        right.replace("github.com", "githubXcom"),
    ):
        assert not identity.fullmatch(wrong)


def test_verification_fails_for_another_identity(clone: Path, output: str) -> None:
    """The job's own verification says no to a release that another repository's workflow should have signed."""
    with docker_registry(clone / "dist/ci-release/staging") as registry:
        given = {"REGISTRY": registry, "VERSION": VERSION, "COSIGN": sid_tools.program("cosign")}
        environment = {**os.environ, **given, "IDENTITY": "https://github.com/somebody/else"}
        command = ["scripts/release-verify", f"dist/ci-release/files/{VERSION}.json"]
        root = "dist/ci-release/files/trusted_root.json"
        done = subprocess.run([*command, root], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: cosign refuses base" in done.stderr
    assert "no matching" in done.stderr.lower()
