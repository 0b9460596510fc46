"""What a job of GitHub Actions gets to see."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from pkgtool.errors import BuildError, ConfigError, Location, Problems
from pkgtool.events import Note, StepFinished, StepLog, StepStarted
from pkgtool.report import github
from pkgtool.report.progress import sink_for

STEP = "build getty linux/amd64"


def shown(*events: object) -> list[str]:
    stream = io.StringIO()
    sink = sink_for("github", stream=stream)
    for event in events:
        sink(event)  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


def finished(outcome: str) -> StepFinished:
    return StepFinished(STEP, "getty linux/amd64", outcome, 6.1)


def test_the_log_of_a_good_step_is_folded() -> None:
    lines = shown(StepStarted(STEP, "getty"), StepLog(STEP, "one"), StepLog(STEP, "two"), finished("built"))
    assert lines[0].endswith(STEP)
    assert re.fullmatch(r"::group::\[ +0\.\d s\] build getty linux/amd64: built in 6\.1 s", lines[1])
    assert lines[3:5] == ["one", "two"]
    assert lines[-1] == "::endgroup::"


def test_the_log_of_a_failed_step_stays_open() -> None:
    lines = shown(StepLog(STEP, "the reason"), finished("failed"))
    assert "the reason" in lines
    assert not [line for line in lines if "group::" in line]


def test_what_a_build_prints_is_no_command() -> None:
    """Between `stop-commands` and its token the runner takes nothing for a command, and nobody can guess the token."""
    evil = ["::add-mask::x", "::error file=a::b", "::set-output name=tag::evil", "::endgroup::"]
    tokens = set()
    for _ in range(2):
        lines = shown(*(StepLog(STEP, line) for line in evil), finished("built"))
        stop = next(line for line in lines if line.startswith("::stop-commands::"))
        token = stop.removeprefix("::stop-commands::")
        start, end = lines.index(stop), lines.index(f"::{token}::")
        assert lines[start + 1 : end] == evil
        assert len(token) == 32
        tokens.add(token)
    assert len(tokens) == 2


def test_a_long_log_keeps_its_end() -> None:
    lines = shown(*(StepLog(STEP, f"line {number}") for number in range(5100)), finished("built"))
    assert "(100 earlier lines are in the step's log file)" in lines
    assert "line 99" not in lines
    assert lines[-3] == "line 5099"


def test_steps_at_the_same_time_are_not_mixed() -> None:
    other = "build sshd linux/amd64"
    lines = shown(StepLog(STEP, "a"), StepLog(other, "b"), StepLog(STEP, "c"), finished("built"))
    assert [line for line in lines if len(line) == 1] == ["a", "c"]


def test_warnings_are_annotations() -> None:
    assert shown(Note("warning", "a node\nwas lost: 50%")) == ["::warning::a node%0Awas lost: 50%25"]
    assert shown(Note("info", "hello")) == ["hello"]


def test_an_error_is_an_annotation_at_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    file = tmp_path / "tree" / "pkg" / "a,b" / "build.yml"
    file.parent.mkdir(parents=True)
    file.touch()
    error = ConfigError("it's wrong: 100%", location=Location("pkg/a,b/build.yml", 3, 7), hint="mend it")
    (line,) = github.annotated(error, tmp_path / "tree")
    assert line == "::error file=tree/pkg/a%2Cb/build.yml,line=3,col=7::it's wrong: 100%25%0Ahint: mend it"


def test_every_problem_has_its_own(tmp_path: Path) -> None:
    problems = Problems([ConfigError("one", location=Location("a", 1)), BuildError("two", details=["x", "y"])])
    assert list(github.annotated(problems, tmp_path)) == ["::error file=a,line=1::one", "::error::two%0Ax%0Ay"]
