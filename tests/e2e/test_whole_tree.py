"""What `make build` brings: other tools read the store, the images run, and every engine would have made the same."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Built
from tests.support.command_line import PROJECT, CommandLine
from tests.support.container import Service, running
from tests.support.docker_engines import DockerEngine
from tests.support.store_images import StoredImage

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("docker")]


@pytest.mark.parametrize("package", ["base", "getty"])
def test_skopeo_reads_the_result(built: Built, package: str) -> None:
    image = built.image(package)
    reference = built.pkgtool.run("show-tag", package).ok().out.strip()
    for name in (reference, f"{reference}-amd64"):
        done = subprocess.run(
            ["skopeo", "inspect", "--override-arch=amd64", f"oci:{built.pkgtool.store}:{name}"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert (seen["Os"], seen["Architecture"]) == ("linux", "amd64")
        assert seen["Labels"] == image.labels
        assert seen["Layers"] == [layer["digest"] for layer in image.manifest["layers"]]


def test_getty_stands_on_base_and_is_small(built: Built) -> None:
    base, getty = built.image("base").manifest["layers"], built.image("getty").manifest["layers"]
    assert getty[: len(base)] == base
    assert sum(layer["size"] for layer in getty) < 40e6


def test_getty_runs_without_an_engine(built: Built, rootfs: Callable[..., Path], tmp_path: Path) -> None:
    service = Service(command=("/sbin/agetty", "--version"))
    with running(built.image("getty"), rootfs("getty"), tmp_path / "run", service) as container:
        container.process.wait(60)
        assert "agetty from util-linux" in container.log


def test_getty_runs_under_docker(built: Built, docker_engine: DockerEngine, tmp_path: Path) -> None:
    archive = tmp_path / "getty.tar"
    built.image("getty")
    built.pkgtool.run("store", "export", "--form", "docker", "--platform", "linux/amd64", "getty", str(archive)).ok()
    docker_engine.docker("load", "--input", str(archive))
    reference = built.pkgtool.run("show-tag", "getty").ok().out.strip()
    run = ("run", "--rm", "--network=none", "--entrypoint=/sbin/agetty", reference, "--version")
    assert "agetty from util-linux" in docker_engine.docker(*run)


def test_docker_makes_the_same_getty(built: Built, docker_engine: DockerEngine, tmp_path: Path) -> None:
    """Built anew by that engine, in a store that has the base alone."""
    base, getty = built.image("base"), built.image("getty")
    store = tmp_path / "store"
    _copy(built.pkgtool.store, store, base)
    environment = {"DOCKER_HOST": docker_engine.host}
    command = ("build", "--platform=linux/amd64", "--json", "getty")
    done = CommandLine(PROJECT, store).run(*command, env=environment, timeout=600).ok()
    images = {image["package"]: image for image in done.json["images"]}
    assert (images["base"]["result"], images["getty"]["result"]) == ("reused", "built")
    version = docker_engine.docker("version", "--format", "{{.Server.Version}}").strip()
    assert images["getty"]["madeBy"] == f"docker {version}"
    assert images["getty"]["digest"] == getty.digest


def _copy(have: Path, want: Path, image: StoredImage) -> None:
    """A store with one image of another one, and access to its inputs, so that nothing is downloaded again."""
    (want / "pkgtool").mkdir(parents=True)
    (want / "blobs" / "sha256").mkdir(parents=True)
    manifest = image.manifest
    for digest in [image.digest, *(part["digest"] for part in (manifest["config"], *manifest["layers"]))]:
        blob = Path("blobs", digest.replace(":", "/"))
        shutil.copy(have / blob, want / blob)
    # What is remembered of images that are not there counts as absent.
    shutil.copytree(have / "pkgtool" / "memo", want / "pkgtool" / "memo")
    (want / "pkgtool" / "inputs").symlink_to(have / "pkgtool" / "inputs")
