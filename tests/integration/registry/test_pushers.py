"""Eight commands push two checkouts of a tree for four platforms to the same tags at once: nothing is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pkgtool.oci.documents import Index
from pkgtool.oci.registry.publish import read_index
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from tests.support.command_line import CommandLine
from tests.support.registry import registries, server
from tests.support.registry.built_tree import fill
from tests.support.registry.images import PLATFORMS, assert_whole
from tests.support.tree import TreeBuilder

PACKAGES = ("one", "two", "three")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "machines"),
    [("docker-registry", "one machine"), ("docker-registry", "eight machines"), ("strict", "eight machines")],
)
def test_eight_pushers(kind: str, machines: str, tree: TreeBuilder, tmp_path: Path) -> None:
    """On one machine a lock keeps them apart; eight machines share nothing but the registry."""
    for name in PACKAGES:
        tree.package(name, f"arches: [{', '.join(platform.arch for platform in PLATFORMS)}]\n")
    tree.commit()
    tree.git("clone", "--quiet", str(tree.root), str(tmp_path / "second"))
    trees = (tree.root, tmp_path / "second")
    lines = [
        CommandLine(root, tmp_path / ("store" if machines == "one machine" else f"store-{place}-{platform.arch}"))
        for place, root in enumerate(trees)
        for platform in PLATFORMS
    ]
    for line in {line.store: line for line in lines}.values():
        built = fill(line)
    with registries.docker_registry(tmp_path / "registry") as docker, server.serving() as strict:
        address = docker if kind == "docker-registry" else strict.address
        pushers = [
            line.start("push", "--registry", address, "--platform", str(platform), stdout=subprocess.DEVNULL)
            for line, platform in zip(lines, PLATFORMS * 2, strict=True)
        ]
        for pusher in pushers:
            _, errors = pusher.communicate(timeout=180)
            assert pusher.returncode == 0, errors
        with Registry(address, RegistrySettings(certificates=())) as registry:
            for name in PACKAGES:
                repository = registry.repository(f"linuxkit/{name}")
                tag = lines[0]("show-tag", name).ok().out.strip().rpartition(":")[2]
                found = read_index(repository, tag).images
                assert {p: i.digest for p, i in found.items()} == {p: i.digest for p, i in built[name].items()}
                whole = Index.of_platforms(list(built[name].values())).encode()
                content = repository.get_manifest(tag)
                assert content is not None
                assert content[1] == whole, "the canonical index, whoever wrote it"
                assert_whole(repository, tag)
