"""Images that other tools have packed: `pkgtool diff` reads what they publish, gzip or zstd."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.integration.images.conftest import with_busybox
from tests.support.command_line import CommandLine
from tests.support.tree import TreeBuilder

pytestmark = pytest.mark.engine


def _skopeo(*arguments: str) -> str:
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_layers_that_skopeo_compressed_with_zstd_are_read(
    pkgtool: CommandLine, tree: TreeBuilder, registry: str
) -> None:
    one = "arches: [amd64]\n"
    with_busybox(tree, "before", 'RUN ["/bin/busybox", "sh", "-c", "echo 1 > /a; echo same > /b"]', build_yml=one)
    with_busybox(tree, "after", 'RUN ["/bin/busybox", "sh", "-c", "echo 22 > /a; echo same > /b"]', build_yml=one)
    tree.commit("two packages")
    place = f"{registry}/foreign"
    pkgtool("push", "--registry", place).ok()
    before, after = (f"{place}/{line}" for line in pkgtool("show-tag", "before", "after").ok().out.split())
    repacked = f"{place}/repacked:{after.rpartition(':')[2]}"
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    _skopeo("copy", *plain, "--dest-compress-format=zstd", f"docker://{after}", f"docker://{repacked}")

    manifest = json.loads(_skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{repacked}"))
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+zstd"}

    compared = pkgtool.run("diff", "--json", before, repacked)
    assert compared.code == 1, compared.err
    [platform] = compared.json["platforms"]
    assert [(file["path"], file["change"]) for file in platform["files"]] == [("a", "changed")]

    same = pkgtool.run("diff", after, repacked)
    assert same.code == 1
    assert "the same layers, compressed differently" in same.out
