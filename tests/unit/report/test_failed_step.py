"""The line of the Dockerfile that failed, from what engines print."""

from __future__ import annotations

import pytest

from pkgtool.actions.failed_step import StepWatcher
from pkgtool.errors import BuildError

DOCKERFILE = """\
FROM scratch AS tools
RUN make tools
FROM tools
# what it is
COPY --chmod=0755 run /run
RUN --mount=type=cache,target=/x one && \\
    # a comment
    two
RUN one
"""


def place(lines: list[str], message: str = "failed") -> str:
    said: list[str] = []
    watcher = StepWatcher(said.append)
    for line in lines:
        watcher(line)
    assert said == lines
    return str(watcher.place(BuildError(message), "pkg/a/Dockerfile", DOCKERFILE))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["STEP 1/6: FROM scratch AS tools", "STEP 2/6: ARG SOURCE_DATE_EPOCH", "STEP 3/6: RUN make tools"], 2),
        (["[2/2] STEP 4/5: RUN --mount=type=cache,target=/x one &&     two", "output"], 6),
        (["[2/2] STEP 5/5: RUN one"], 9),
        (["=> [tools 2/2] RUN make tools", "=> [tools 2/2] RUN make tools failed: process … exit code: 1"], 2),
        (["=> [stage-1 2/4] COPY --chmod=0755 run /run", "=> [stage-1 2/4] COPY --chmod=0755 run /run failed: no"], 5),
        (["=> [linux/arm64 stage-1 4/4] RUN one", "=> [linux/arm64 stage-1 4/4] RUN one failed: x"], 9),
    ],
)
def test_the_step_that_failed(lines: list[str], expected: int) -> None:
    assert place(lines) == f"pkg/a/Dockerfile:{expected}:1"


def test_a_mistake_in_the_file_is_where_it_was_written() -> None:
    """Engines see the file with a line more in every stage."""
    assert place([], "dockerfile parse error on line 4: unknown instruction: RAN") == "pkg/a/Dockerfile:3:1"


def test_what_can_not_be_told_is_not_said() -> None:
    assert place(["hello", "STEP 9/9: RUN something else"]) == "None"
