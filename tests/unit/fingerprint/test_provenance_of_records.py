"""What the tag is made from is what the provenance names: each entry of the record is found in the statement."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.config.package import Overrides
from pkgtool.model import BuildArg
from pkgtool.oci.store.statements import PROVENANCE
from pkgtool.plan import StepKind
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import carry_out, make_plan
from tests.support import recorded
from tests.support.command_line import CommandLine
from tests.support.instant_engine import InstantEngine
from tests.support.tree import TreeBuilder

EVERYTHING = """\
buildArgs:
  - GREETING=hello
  - OTHER=@lkt:pkg:../other
depends: {packages: [base], tools: [compiler]}
extra-sources: [../../shared/two:two, ../../shared/one:deep/one, ../../shared/tool.sh:tool.sh]
"""


@pytest.fixture
def tree(tree: TreeBuilder) -> TreeBuilder:
    tree.write("pkgtool.yml", "org: acme\nsource: https://example.org/tree\nsource-date-epoch: 1700000000\n")
    for name in ("base", "compiler", "other"):
        tree.package(name)
    tree.package("it", EVERYTHING)
    tree.package("plain")
    for name in ("one", "two"):
        tree.write(f"shared/{name}/file", f"{name}\n")
    tree.write("shared/tool.sh", "#!/bin/sh\n", executable=True)
    tree.commit()
    return tree


def built(pkgtool: CommandLine) -> dict[str, tuple[Any, Any]]:
    """The record of every package and the provenance of its image, by name."""
    outside = Overrides(build_args=(BuildArg("FROM_OUTSIDE", "a value"),))
    options = RunOptions(directory=pkgtool.directory, store=pkgtool.store, overrides=outside)
    planned = make_plan(options, [])
    report = carry_out(planned, options, connect=InstantEngine, events=lambda _: None, cancel=Cancellation())
    assert report.results.good, report.results
    found = {}
    for step in report.plan.steps:
        result = report.results.by_step[step.id]
        if step.kind is StepKind.BUILD and result.record:
            statement = planned.store.statements.read(result.record.manifest.digest, PROVENANCE)
            assert statement is not None
            found[step.package] = (planned.tree.fingerprints[step.package].record, json.loads(statement))
    assert set(found) == set(planned.tree.names)
    return found


def test_each_entry_of_a_record_is_in_the_provenance(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    found = built(pkgtool)
    record, statement = found["it"]
    assert set(record) == set(recorded.PLACES), "this package has an entry of every kind"
    assert {edge[0] for edge in record["dependencies"]} == {"package", "tool", "reference"}
    for name, (record, statement) in found.items():
        assert recorded.missing(record, statement) == [], name

    # A directory is named by its tree, a file by its blob, both from the commit that was built.
    commit = tree.git("rev-parse", "HEAD").strip()
    sources = [
        each
        for each in found["it"][1]["predicate"]["buildDefinition"]["resolvedDependencies"]
        if each["uri"] == f"git+https://example.org/tree@{commit}"
    ]
    assert [each["annotations"]["path"] for each in sources] == [
        "pkg/it", "shared/two", "shared/one", "shared/tool.sh"
    ]  # fmt: skip
    assert [each["digest"].get("gitTree") for each in sources[:3]] == [
        tree.tree_id(path) for path in ("pkg/it", "shared/two", "shared/one")
    ]
    assert sources[3]["digest"]["gitBlob"] == tree.git("rev-parse", "HEAD:shared/tool.sh").strip()
    assert sources[3]["annotations"]["mode"] == "100755"


def test_what_is_dirty_is_named_as_it_was(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.write("shared/two/file", "changed, and in no commit\n")
    record, statement = built(pkgtool)["it"]
    assert recorded.missing(record, statement) == []
    assert statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["annotations"]["dirty"] is True


def test_an_entry_that_is_left_out_is_noticed(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    record, statement = built(pkgtool)["it"]
    changed = {**record, "settings": {**record["settings"], "another": "one"}}
    assert recorded.missing(changed, statement) == ["settings: another", "settings: one"]
    with pytest.raises(KeyError, match="entirely new"):
        recorded.missing({**record, "entirely new": ""}, statement)
