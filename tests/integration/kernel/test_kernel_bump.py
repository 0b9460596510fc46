"""The next release of a series, out of Debian's real archive."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.support.command_line import CommandLine
from tests.support.kernel import ROOT
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.mark.parametrize("series", ["6.1", "6.12"])
def test_a_release_that_debian_has_replaced_is_bumped_to_what_it_has(tmp_path, series):
    builder = TreeBuilder(tmp_path / "tree").init()
    shutil.copytree(ROOT / "kernel", builder.root / "kernel", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pkgtool.yml", builder.root)
    file = builder.root / f"kernel/series/{series}.yml"
    pinned = file.read_text()
    version = re.search(r"(?m)^version: (\S+)", pinned)[1]
    older = f"{series}.1"
    file.write_text(pinned.replace(version, older).replace(re.search(r"sha256: (\S+)", pinned)[1], "0" * 64))
    pkgtool = CommandLine(builder.root, tmp_path / "store")
    assert re.search(
        rf"{re.escape(series)}: pinned {re.escape(series)}\.\d+", pkgtool("kernel", "bump", series).ok().out
    )
    listed = pkgtool("kernel", "list", series, "--json").ok().json[0]
    assert listed["version"] != older
    assert older in listed["releases"], "what was pinned stays pinned"
    found = listed["releases"][listed["version"]]
    assert found["source"].startswith("http://deb.debian.org/debian")
    assert re.fullmatch(r"[0-9a-f]{64}", found["sha256"])
    assert "nothing newer" in pkgtool("kernel", "bump", series).ok().out
