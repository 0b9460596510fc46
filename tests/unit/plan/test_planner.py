"""Plans from made-up trees: no engine, no git, no disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytest

from pkgtool.errors import ConfigError
from pkgtool.fingerprint import Fingerprint, compute
from pkgtool.model import ContextPath, Dependency, FileInput, Inputs, Package, Role
from pkgtool.oci.documents import MANIFEST, Descriptor, Index
from pkgtool.oci.store import MemoRecord
from pkgtool.plan import Plan, Snapshot, Target, plan_build
from pkgtool.plan.planner import build_key, plan_push
from pkgtool.values import Digest, Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BOTH = (AMD64, ARM64)
PINNED = Inputs(files=(FileInput("file", "https://example.invalid/file"),))


@dataclass(frozen=True)
class Source:
    """What is known of a package's files."""

    current: str
    mode: str = "040000"
    committed: str = ""
    dirty_submodules: tuple[tuple[str, str], ...] = ()
    dirty: bool = False


def package(
    name: str,
    *,
    on: Iterable[str] = (),
    tools: Iterable[str] = (),
    platforms: tuple[Platform, ...] = BOTH,
    inputs: Inputs | None = None,
) -> Package:
    edges = [Dependency(n, Role.PACKAGE) for n in on] + [Dependency(n, Role.TOOL) for n in tools]
    return Package(
        name=name,
        org="acme",
        path=f"pkg/{name}",
        tag_template="{{.Hash}}",
        platforms=platforms,
        context=(ContextPath(f"pkg/{name}", ""),),
        source_url="",
        source_date_epoch=0,
        dependencies=tuple(edges),
        inputs=inputs or Inputs(),
    )


@dataclass(frozen=True)
class Made:
    """A tree, and what is there of it."""

    packages: Mapping[str, Package]
    fingerprints: Mapping[str, Fingerprint]

    def key(self, name: str, platform: Platform = AMD64) -> str:
        return build_key(self.fingerprints[name], self.packages[name], platform)

    def plan(
        self, *names: str, platforms: tuple[Platform, ...] = (AMD64,), rebuild: bool = False, **known: object
    ) -> Plan:
        wanted = names or tuple(self.packages)
        target = Target(wanted, platforms, AMD64, frozenset(wanted) if rebuild else frozenset())
        return plan_build(self.packages, self.fingerprints, target, Snapshot(**known))  # type: ignore[arg-type]


def tree(*packages: Package) -> Made:
    named = {p.name: p for p in packages}
    return Made(named, compute(named, lambda path: Source(Digest.of(path.encode()).hex[:40])))


BASE = package("base", inputs=PINNED)
GO = package("go", on=["base"])
APP = package("app", on=["base"])
TOOL = package("tool-user", tools=["go"])


def record(seed: str) -> MemoRecord:
    return MemoRecord(Descriptor(MANIFEST, Digest.of(seed.encode()), 1), (), "it", 7.0)


def ids(plan: Plan) -> list[str]:
    return [step.id for step in plan.to_do()]


def test_dependencies_come_first_and_inputs_before_them() -> None:
    plan = tree(BASE, APP).plan("app")
    assert ids(plan) == [
        "fetch base",
        "build base linux/amd64",
        "assemble base",
        "build app linux/amd64",
        "assemble app",
    ]
    assert plan.by_id["build app linux/amd64"].needs == ("build base linux/amd64",)
    assert plan.by_id["build base linux/amd64"].needs == ("fetch base",)
    assert "needed by app" in plan.by_id["build base linux/amd64"].reason


def test_tools_are_built_for_the_build_platform_alone() -> None:
    plan = tree(BASE, GO, TOOL).plan("tool-user", platforms=(ARM64,))
    assert [step for step in ids(plan) if step.startswith("build")] == [
        "build base linux/amd64",
        "build go linux/amd64",
        "build tool-user linux/arm64",
    ]


def test_what_is_remembered_is_not_built_and_what_only_it_stands_on_is_not_looked_at() -> None:
    made = tree(BASE, APP)
    plan = made.plan("app", remembered={made.key("app"): record("app")})
    assert ids(plan) == ["assemble app"], "only the references are missing"
    assert "build base linux/amd64" not in plan.by_id
    assert plan.by_id["build app linux/amd64"].seconds == 7.0


def test_nothing_is_to_do_when_all_is_there() -> None:
    made, found = tree(package("base")), record("base")
    fingerprint = made.fingerprints["base"]
    index = Descriptor.of(Index.of_platforms([found.manifest]).encode(), "")
    references = {
        str(fingerprint.reference): index,
        str(fingerprint.platform_reference(AMD64)): found.manifest,
    }
    known = {made.key("base"): found}
    assert made.plan("base", remembered=known, references=references).is_empty
    moved = {**references, str(fingerprint.reference): Descriptor.of(b"another", "")}
    assert ids(made.plan("base", remembered=known, references=moved)) == ["assemble base"]


def test_rebuilding_counts_for_what_is_named_alone() -> None:
    made = tree(BASE, APP)
    known = {made.key("app"): record("app"), made.key("base"): record("base")}
    plan = made.plan("app", rebuild=True, remembered=known)
    assert [s for s in ids(plan) if s.startswith("build")] == ["build app linux/amd64"]


def test_what_the_registry_has_is_pulled_instead_of_built() -> None:
    made = tree(BASE, APP)
    plan = made.plan("app", published={made.key("app"): record("app").manifest})
    assert ids(plan) == ["pull app linux/amd64", "assemble app"]


def test_what_is_made_for_no_wanted_platform_is_left_out_with_a_reason() -> None:
    made = tree(package("x86", platforms=(AMD64,)), package("none", platforms=()))
    plan = made.plan(platforms=(ARM64,))
    assert {s.package: s.reason for s in plan.skipped} == {
        "x86": "it is made for linux/amd64, not for linux/arm64",
        "none": "it is made for no platform (arches is empty)",
    }
    assert plan.is_empty


def test_a_dependency_that_is_not_made_for_a_platform_is_an_error_with_a_way_out() -> None:
    made = tree(package("base", platforms=(AMD64,)), APP)
    with pytest.raises(ConfigError, match="app needs base for linux/arm64") as caught:
        made.plan("app", platforms=(ARM64,))
    assert caught.value.hint == "add the architecture to build.yml, or take it out of build.yml"


def test_publishing_waits_for_all_of_a_package_and_signing_for_publishing() -> None:
    made = tree(BASE, APP)
    plan = plan_push(made.plan("app", platforms=BOTH), ["app"], made.fingerprints, "registry.invalid", sign=True)
    assert plan.by_id["push app"].needs == ("build app linux/amd64", "build app linux/arm64", "assemble app")
    assert plan.by_id["sign app"].needs == ("push app",)
    assert "push base" not in plan.by_id, "only what was named is published"
