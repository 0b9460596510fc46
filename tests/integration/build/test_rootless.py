"""An ordinary user builds without any daemon, and makes the same bytes as root."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ordinary_user
from tests.support.command_line import CommandLine
from tests.support.ordinary_user import OrdinaryUser
from tests.support.remote import tree as trees

pytestmark = [pytest.mark.engine]


@pytest.fixture
def user() -> Iterator[OrdinaryUser]:
    # pytest's own directories may be entered by nobody but root.
    with tempfile.TemporaryDirectory(prefix="pkgtool-user-") as directory:
        Path(directory).chmod(0o755)
        made = ordinary_user.make(Path(directory) / "user")
        yield made
        ordinary_user.remove(made)


def test_an_ordinary_user_makes_the_same_bytes(user: OrdinaryUser, tmp_path: Path) -> None:
    mine = trees.make(tmp_path / "tree", leaves=1)
    theirs = trees.make(user.home / "tree", leaves=1)
    user.own(theirs)
    arguments = ["build", "--platform", "linux/amd64", "--engine", "buildah", "--json"]
    program = str(Path(sys.executable).parent / "pkgtool")
    done = user.run([program, "-C", str(theirs), *arguments])
    assert done.returncode == 0, done.stderr
    as_user = {image["package"]: image for image in json.loads(done.stdout)["images"]}
    assert {image["result"] for image in as_user.values()} == {"built"}

    as_root = CommandLine(mine, tmp_path / "store").run(*arguments).ok().json["images"]
    assert {image["package"]: image["digest"] for image in as_root} == {n: i["digest"] for n, i in as_user.items()}

    said = user.run([program, "-C", str(theirs), "doctor"]).stdout
    assert "as an ordinary user" in said
    assert "subordinate ids: builder has some" in said
