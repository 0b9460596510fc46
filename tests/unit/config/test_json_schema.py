"""The JSON schemas that editors use: shipped, current, and of one mind with what pkgtool reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pkgtool.config import json_schema
from tests.support.command_line import CommandLine
from tests.support.configuration import problems

NAMES = sorted(json_schema.SCHEMAS)


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(json_schema.text_of(name)))


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_file_is_current(name: str) -> None:
    current = json_schema.text_of(name)
    assert json_schema.shipped(name).read_text() == current, "run: python -m pkgtool.config.json_schema"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_valid_schema(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(json_schema.text_of(name)))


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_explained(name: str) -> None:
    def unexplained(schema: dict[str, Any], path: str) -> list[str]:
        found = []
        for key, inner in schema.get("properties", {}).items():
            found += [f"{path}{key}"] if not inner.get("description") else []
            below = inner.get("items", inner)
            # What lies below `config` is runtime-spec's.
            found += unexplained(below, f"{path}{key}.") if path != "config." else []
        return found

    assert unexplained(json.loads(json_schema.text_of(name)), "") == []


def test_the_command_prints_it(pkgtool: CommandLine) -> None:
    assert pkgtool("schema", "build").ok().out == json_schema.text_of("build")
    assert pkgtool("schema", "tree").json["title"] == "pkgtool.yml"


DOCUMENTS: list[dict[str, Any]] = [
    {"image": "p"},
    {"image": "p", "arches": None, "network": "yes", "config": {"devices": [{"path": "/x", "mode": 438}]}},
    {"image": 5, "tag": 1.0, "depends": {"packages": []}, "inputs": None},
    {"image": "p", "config": {"uid": "root", "gid": 0, "sysctl": {"a": 1}}},
    {},
    {"image": None},
    {"image": "p", "unknown": 1},
    {"image": "p", "network": "maybe"},
    {"image": "p", "arches": "amd64"},
    {"image": "p", "config": {"uid": [1]}},
    {"image": "p", "config": {"oomScoreAdj": "1"}},
    {"image": "p", "config": {"resources": {"blockio": {"weight": 65536}}}},
    {"image": "p", "rootfs": {"variant": "large"}},
    {"image": "p", "inputs": {"debian": {"suite": "trixie", "packages": []}}},
    {"image": "p", "inputs": {"files": [{"name": "x"}]}},
    {"image": "p", "depends": {"docker-images": {"list": "x"}}},
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=json.dumps)
def test_it_accepts_what_pkgtool_accepts(tmp_path: Path, document: dict[str, Any]) -> None:
    accepted = not problems(tmp_path, {"pkg/p/build.yml": json.dumps(document)})
    assert validator("build").is_valid(document) == accepted
