"""A module of one's own, built in a package of its own from the kernel's image, signed, and loaded by that kernel."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pkgtool.kernel.boot import cpio
from pkgtool.kernel.boot.machine import Machine
from pkgtool.kernel.boot.scenarios import Workload, console_says
from pkgtool.kernel.identity import open_identity
from pkgtool.kernel.signature import trailer
from tests.support.built_kernel import DEVELOPMENT, NAME, BuiltKernel, image_of
from tests.support.command_line import PROJECT, CommandLine
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.engine, pytest.mark.xdist_group("kernel")]
SECONDS = 300.0
DOCKERFILE = """\
ARG KERNEL_BUILD_TOOL
ARG KERNEL_6_1_SMALL_IMAGE
FROM ${KERNEL_6_1_SMALL_IMAGE} AS kernel
FROM --platform=$BUILDPLATFORM ${KERNEL_BUILD_TOOL} AS build
COPY --from=kernel /kernel-dev.tar /
RUN tar -xf /kernel-dev.tar -C / && rm /kernel-dev.tar
COPY src/ /src/
RUN make -C /usr/src/linux-headers-* M=/src CROSS_COMPILE=x86_64-linux-gnu- CC=x86_64-linux-gnu-gcc-12 modules
FROM scratch
COPY --from=build /src/hello.ko /
"""
SOURCE = """\
#include <linux/module.h>
static int __init hello(void) { pr_alert("hello from outside\\n"); return 0; }
module_init(hello);
MODULE_LICENSE("GPL");
"""


def tree(root: Path, store: Path) -> CommandLine:
    """The project's kernels and what builds them, and one package more, at another place."""
    builder = TreeBuilder(root).init()
    for part in ("kernel", "pkg/base", "pkg/kernel-build", DEVELOPMENT):
        shutil.copytree(PROJECT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    shutil.copy(PROJECT / "pkgtool.yml", root)
    builder.package(
        "hello",
        f"arches: [amd64]\ndepends: {{packages: [{NAME}], tools: [kernel-build]}}\n",
        dockerfile=DOCKERFILE,
        files={"src/Kbuild": "obj-m := hello.o\n", "src/hello.c": SOURCE},
    )
    builder.commit()
    return CommandLine(root, store)


def built_module(pkgtool: CommandLine, scratch: Path) -> tuple[str, bytes]:
    """Build the package anew; the digest of its image, and the module."""
    pkgtool.run("build", "--force", "--progress", "plain", "hello", timeout=1200).ok()
    image = image_of(pkgtool, "hello")
    return image.digest, (image.unpack(scratch) / "hello.ko").read_bytes()


def test_a_module_is_the_same_from_two_places_and_engines_and_loads(
    built: BuiltKernel, docker_old, tools, tmp_path, monkeypatch
):
    store = built.pkgtool.store
    one, two = tree(tmp_path / "one", store), tree(tmp_path / "far/away/two", store)
    same = {line.run("show-tag", NAME, "hello").ok().out for line in (one, two)}
    assert len(same) == 1, "the same files have the same tags, wherever they lie"
    assert built.pkgtool.run("show-tag", NAME).ok().out in same.pop()

    first, module = built_module(one, tmp_path / "first")
    monkeypatch.setenv("DOCKER_HOST", docker_old.host)
    second, again = built_module(two, tmp_path / "second")
    assert module == again
    assert first == second

    identity = open_identity(built.pair.certificate, built.pair.key, hash_name="sha256", passphrase=bytes)
    (tmp_path / "hello.ko").write_bytes(module + trailer(identity.signature(module)))
    verified = built.pkgtool.run("kernel", "verify", str(built.signed), "--module", str(tmp_path / "hello.ko"))
    assert "all good" in verified.ok().out
    nodes = (cpio.file("hello.ko", (tmp_path / "hello.ko").read_bytes()),)
    workload = Workload(nodes, "$b insmod /hello.ko\n", tools)
    said = console_says(Machine(built.kernel), workload, ["hello from outside"], seconds=SECONDS)
    assert "hello from outside" in said.said
