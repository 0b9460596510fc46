"""What stands in a registry after a push."""

from __future__ import annotations

from pkgtool.oci.registry.publish import read_index
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from tests.support.command_line import CommandLine
from tests.support.registry.built_tree import Built
from tests.support.registry.images import assert_whole
from tests.support.registry.server import State


def tag_of(pkgtool: CommandLine, package: str) -> str:
    return pkgtool("show-tag", package).ok().out.strip().rpartition(":")[2]


def assert_published(state: State, pkgtool: CommandLine, built: Built) -> None:
    """Everything that was built stands under the current tags, whole."""
    with Registry(state.address, RegistrySettings(certificates=())) as registry:
        for name, images in built.items():
            repository, tag = registry.repository(f"linuxkit/{name}"), tag_of(pkgtool, name)
            assert_whole(repository, tag)
            found = read_index(repository, tag).images
            assert {p: d.digest for p, d in found.items()} == {p: d.digest for p, d in images.items()}
            for platform, image in images.items():
                single = repository.resolve(f"{tag}-{platform.arch}")
                assert single is not None
                assert single.digest == image.digest
