"""`make ci-release`: the steps of the release job, against two registries and a sigstore instance of its own.

    python -m tests.support.ci_release MAKE

What stands in for what: docker-registry on loopback for the staging and the public registry; the stand-in of the tests
for sigstore, whose identity token names the workflow as GitHub's would. The steps are the workflow's own targets. They
build in a store of their own: provenance must say that this workflow built it. All of it lies in dist/ci-release.
Where a job of GitHub's runs on a machine of the platform, an emulator is registered here meanwhile, which needs root.
After a first run there is a second, which must change nothing. PACKAGES and PLATFORM make it smaller.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pkgtool.values import Platform
from tests.support import sid_tools
from tests.support.emulation import emulator
from tests.support.registry.registries import docker_registry
from tests.support.sigstore_standin import standin

REPOSITORY = "pkgtool/pkgtool"
PLATFORMS = ("linux/amd64", "linux/arm64")
SERVER = "https://github.com"
STEPS = ("ci-build", "ci-push", "release-record", "release-verify", "release-promote")
PLACE = Path("dist/ci-release")


def environment(version: str, staging: str, target: str, trust_config: Path, token: str, issuer: str) -> dict[str, str]:
    """What the steps find in their environment, as in a job of GitHub's for the tag `version`."""
    return {
        "VERSION": version,
        "REGISTRY": staging,
        "TARGET": target,
        "PLATFORM": ",".join(platforms()),
        "TRUST_CONFIG": str(trust_config.resolve()),
        "SIGSTORE_ID_TOKEN": token,
        "ISSUER": issuer,
        "PKGTOOL_STORE": str((PLACE / f"store-{version}").resolve()),
        "RELEASE_DIR": str(PLACE / "files"),
        "COSIGN": sid_tools.program("cosign"),
        "GITHUB_SERVER_URL": SERVER,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_WORKFLOW_REF": workflow(version),
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "RUNNER_ENVIRONMENT": "github-hosted",
    }


def platforms() -> list[str]:
    """What the release is for."""
    return os.environ["PLATFORM"].split(",") if os.environ.get("PLATFORM") else list(PLATFORMS)


@contextmanager
def emulators() -> Iterator[None]:
    """Programs of all those platforms run."""
    with ExitStack() as running:
        for platform in platforms():
            running.enter_context(emulator(Platform.parse(platform).arch))
        yield


def workflow(version: str) -> str:
    """The release workflow at a tag, as GitHub names it."""
    return f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/{version}"


@contextmanager
def services(version: str) -> Iterator[dict[str, str]]:
    """Registries, sigstore and emulators, running; what the steps find in their environment."""
    with (
        emulators(),
        docker_registry(PLACE / "staging") as staging,
        docker_registry(PLACE / "public") as public,
        standin(PLACE / "sigstore") as sigstore,
    ):
        token = sigstore.token(f"{SERVER}/{workflow(version)}")
        yield environment(version, staging, public, sigstore.trust_config(1), token, sigstore.url)


def published(directory: Path) -> dict[str, str]:
    """Every tag of a registry's files with its digest."""
    links = directory.glob("data/docker/registry/v2/repositories/**/_manifests/tags/*/current/link")
    return {"/".join(link.parts[link.parts.index("repositories") + 1 : -2]): link.read_text() for link in links}


def main() -> int:
    version = os.environ.get("VERSION") or "v0.0.0-local"
    make = sys.argv[1] if len(sys.argv) > 1 else "make"
    for name in ("staging", "public", "sigstore", "files"):
        shutil.rmtree(PLACE / name, ignore_errors=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    with services(version) as given:
        for run in ("first", "second"):
            before = {name: published(PLACE / name) for name in ("staging", "public")}
            for step in STEPS:
                print(f"== {run} run: make {step}", file=sys.stderr, flush=True)
                subprocess.run([make, "--no-print-directory", step], env={**os.environ, **given}, check=True)
            after = {name: published(PLACE / name) for name in ("staging", "public")}
            print(f"{run} run: {sum(map(len, after.values()))} tags, {_moved(before, after)} of them changed")
        moved = _moved(before, after)
    (PLACE / "tags.json").write_text(json.dumps(after, indent=2))
    return 1 if moved else 0


def _moved(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> int:
    return sum(before[name].get(tag) != digest for name, tags in after.items() for tag, digest in tags.items())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as problem:
        sys.exit(f"error: {' '.join(problem.cmd)} ended with {problem.returncode}")
