from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pkgtool.kernel.boot.initramfs import busybox
from pkgtool.kernel.series import Series, read_all
from pkgtool.source.trees import WorkingTree
from tests.support.kernel import ROOT, KeyPair, openssl_key_pair
from tests.support.kernel_build import BuiltKernel, build, fetch_source


@pytest.fixture(scope="session")
def series() -> Series:
    return read_all(WorkingTree(ROOT), ("6.1",))["6.1"]


@pytest.fixture(scope="session")
def kept(tmp_path_factory) -> Path:
    """Where sources and builds lie."""
    place = os.environ.get("PKGTOOL_TEST_KERNEL")
    return Path(place) if place else tmp_path_factory.mktemp("kernel")


@pytest.fixture(scope="session")
def built(series, kept, tmp_path_factory) -> BuiltKernel:
    """6.1 with the small configuration: a quarter of an hour of one processor."""
    pair = KeyPair(kept / "key/modules.key", kept / "key/modules.pem")
    if not pair.key.exists():
        openssl_key_pair(kept / "key", "modules")
    output = kept / "out"
    if not (output / "kernel-dev.tar").exists():
        build(series, "small", fetch_source(series, kept), pair, kept, KERNEL_CCACHE=str(kept / "ccache"))
        shutil.rmtree(kept / "work", ignore_errors=True)
    return BuiltKernel(output, pair)


@pytest.fixture(scope="session")
def tools() -> Path:
    return busybox()
