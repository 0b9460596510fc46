"""What `pkgtool doctor` says of engines that can't be used."""

from __future__ import annotations

import json

import pytest

from tests.support.command_line import CommandLine


def test_a_missing_engine_comes_with_a_command(pkgtool: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    said = pkgtool("doctor", "--engine", "docker")
    assert said.code == 1
    lines = said.out.splitlines()
    position = lines.index("missing   docker: no engine answers at unix:///nowhere.sock, which DOCKER_HOST names")
    assert lines[position + 1] == "          → unset DOCKER_HOST"


def test_an_engine_that_was_not_asked_for_may_be_missing(pkgtool: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    found = {each["subject"]: each for each in pkgtool("doctor", "--json", "--engine", "buildah").json}
    assert found["docker"]["state"] == "optional"


def test_a_context_that_does_not_exist(pkgtool: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    found = {each["subject"]: each for each in json.loads(pkgtool("doctor", "--json").out)}
    assert found["docker"]["detail"] == "can't be used: there is no Docker context 'nowhere'"
    assert found["docker"]["remedy"] == "docker context ls"
