"""The step of a job that builds runs before anybody logs in: it must not need what a registry shows to some only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from tests.support.command_line import PROJECT, CommandLine
from tests.support.registry.registries import docker_registry
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.engine]

# One user, as whom nobody logs in here.
PASSWORDS = "robot:$2b$04$5OyzEWdBlSqS4RZyhLL..ORMUwm.PrpQH.8dXXU0ZFLW4KhbPmIjK\n"


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[str]:
    """A registry that shows nothing to strangers."""
    passwords = tmp_path / "passwords"
    passwords.write_text(PASSWORDS)
    with docker_registry(tmp_path / "registry", htpasswd=passwords) as address:
        yield address


def test_what_a_stranger_may_not_see_is_built_again(
    closed: str, tree: TreeBuilder, pkgtool: CommandLine, tmp_path: Path
) -> None:
    tree.package("base")
    on_base = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY content /more\n"
    tree.package("getty", "depends:\n  packages: [base]\n", dockerfile=on_base)
    tree.commit()
    refused = pkgtool("build", "--registry", closed)
    assert refused.code == ExitCode.REGISTRY
    assert refused.err.startswith(f"error: {closed} wants credentials\n")

    environment = {**os.environ, "REGISTRY": closed, "PLATFORM": "linux/amd64", "PACKAGES": "getty"}
    environment |= {"PKGTOOL_STORE": str(tmp_path / "job"), "PYTHONPATH": str(PROJECT)}
    # The programs of this checkout, on another tree.
    settings = [f"VENV={Path(sys.executable).parents[1]}", "READY=", "TEST_READY="]
    command = ["make", "-f", str(PROJECT / "Makefile"), "ci-build", *settings]
    done = subprocess.run(command, cwd=tree.root, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "wants credentials; building what could have been pulled" in done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("base", "getty"))]
    assert [(row[0], row[-1]) for row in rows] == [("base", "built"), ("getty", "built")]
