"""What is declared in a Dockerfile, and the lines that it then has."""

from __future__ import annotations

import pytest

from pkgtool.engines import dockerfile

TEXT = """\
# syntax comment
FROM scratch AS one
RUN first && \\
    second
from one
  run --network=none third
RUN ["fourth"]
"""


def test_arguments_are_declared_in_every_stage() -> None:
    lines = dockerfile.declaring(TEXT, ("A", "B")).splitlines()
    assert lines[1:4] == ["FROM scratch AS one", "ARG A", "ARG B"]
    assert lines[6:9] == ["from one", "ARG A", "ARG B"]


@pytest.mark.parametrize("names", [("A",), ("A", "B"), ("A", "B", "C")])
def test_lines_are_found_again(names: tuple[str, ...]) -> None:
    written, shown = TEXT.splitlines(), dockerfile.declaring(TEXT, names).splitlines()
    for number, line in enumerate(shown, start=1):
        if not line.startswith("ARG"):
            assert written[dockerfile.original_line(TEXT, number, declared=len(names)) - 1] == line


def test_a_mount_is_in_every_step() -> None:
    shown = dockerfile.with_mount(TEXT, "--mount=type=tmpfs,target=/m").splitlines()
    assert shown[2:4] == ["RUN --mount=type=tmpfs,target=/m first && \\", "    second"]
    assert shown[5] == "  run --mount=type=tmpfs,target=/m --network=none third"
    assert shown[6] == 'RUN --mount=type=tmpfs,target=/m ["fourth"]'
    assert len(shown) == len(TEXT.splitlines())
