"""The workflows, as far as linters don't know: what they run, with which permissions, and where secrets are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
BUILDING = ("make build", "make test", "make ci-build", "make ci-reproduce")


def _jobs() -> Iterator[Any]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


JOBS = list(_jobs())


def test_there_are_workflows_for_each_occasion() -> None:
    assert [path.stem for path in WORKFLOWS] == ["main", "pull-request", "rebuild", "release"]


@pytest.mark.parametrize("job", JOBS)
def test_every_step_is_a_command_that_runs_anywhere(job: dict[str, Any]) -> None:
    for step in job["steps"]:
        if "run" in step:
            words = step["run"].removeprefix("sudo ").split()
            assert words[0] == "make"
            assert len(words) == 2
            assert words[1] in TARGETS


@pytest.mark.parametrize("job", JOBS)
def test_actions_are_few_and_pinned_by_commit(job: dict[str, Any]) -> None:
    for step in job["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"actions/(checkout|upload-artifact|download-artifact)@[0-9a-f]{40}", step["uses"])


@pytest.mark.parametrize("job", JOBS)
def test_no_secret_is_there_while_packages_are_built(job: dict[str, Any]) -> None:
    """A step that builds has no token in its environment, and nobody has logged in before it."""
    logged_in = False
    for step in job["steps"]:
        run = step.get("run", "").removeprefix("sudo ")
        secret = any("secrets." in str(value) or "token" in str(value) for value in step.get("env", {}).values())
        assert secret == (run == "make ci-login")
        assert not (run in BUILDING and logged_in)
        logged_in = logged_in or secret
        assert step.get("with", {}).get("persist-credentials", False) is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_permissions_are_least(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        signs = any(
            step.get("run") in ("make ci-push-part", "make ci-push", "make ci-rebuild") for step in job["steps"]
        )
        publishes = signs or any(step.get("run") == "make release-promote" for step in job["steps"])
        assert (job["permissions"].get("id-token") == "write") == signs
        assert (job["permissions"].get("packages") == "write") == publishes
        assert job["permissions"]["contents"] == "read"
        assert set(job["permissions"]) <= {"contents", "packages", "id-token"}
        assert job["timeout-minutes"] <= 120
    if path.stem == "pull-request":
        assert {k: v for job in document["jobs"].values() for k, v in job["permissions"].items()} == {
            "contents": "read"
        }


def test_each_wave_waits_for_the_one_before() -> None:
    document = yaml.safe_load((PROJECT / ".github/workflows/main.yml").read_text())["jobs"]
    waves = [name for name in document if name.startswith("wave")]
    assert waves == ["wave0", "wave1", "wave2"]
    for number, name in enumerate(waves[1:], 1):
        assert document[name]["needs"] == ["plan", f"wave{number - 1}"]
        assert f"contains(fromJSON(needs.plan.outputs.waves), {number})" in document[name]["if"]
    assert document["publish"]["needs"] == ["plan", *waves]
    assert {document[name]["strategy"]["matrix"] for name in waves} == {
        f"${{{{ fromJSON(needs.plan.outputs.{name}) }}}}" for name in waves
    }
    assert document["plan"]["outputs"].keys() == {"waves", *waves}
