"""Which steps of a Dockerfile execute programs of the target platform."""

from __future__ import annotations

import pytest

from pkgtool.engines.dockerfile import steps_on_target

_CROSS = "FROM --platform=$BUILDPLATFORM tool AS build\nRUN compile\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM base\nRUN install\n", ["install"]),
        (_CROSS + "FROM scratch\nCOPY --from=build /x /x\n", []),
        (_CROSS + "FROM build AS more\nRUN again\nFROM scratch\nCOPY --from=more /x /x\n", []),
        (_CROSS + "FROM base\nCOPY --from=build /x /x\nRUN /x --version\n", ["/x --version"]),
        ("FROM base AS one\nRUN a\nFROM one\nRUN b\n", ["a", "b"]),
        ("FROM base AS unused\nRUN a\nFROM scratch\nCOPY x /x\n", []),
        ("FROM base AS One\nRUN a\nFROM scratch\nCOPY --from=one /x /x\n", ["a"]),
        ("FROM base\nRUN a\nFROM scratch\nCOPY --from=0 /x /x\n", ["a"]),
        ("FROM base AS one\nRUN a\nFROM scratch\nRUN --mount=type=bind,from=one,target=/x b\n", ["a", "b"]),
        ("FROM --platform=$TARGETPLATFORM base\nRUN a\n", ["a"]),
        ("# nothing\n", []),
    ],
)
def test_steps_that_run_on_the_target(text: str, expected: list[str]) -> None:
    assert [step.value.split("target=/x ")[-1] for step in steps_on_target(text)] == expected
