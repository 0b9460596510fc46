"""A tree for two platforms on two workers of their own: the same digests, also when workers die."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.errors import EngineError, ExitCode
from pkgtool.events import Event, Note, StepFinished, StepLog
from pkgtool.executor import Outcome
from pkgtool.nodes import Node
from pkgtool.plan import StepKind
from pkgtool.values import Platform
from pkgtool.workflows.build import build
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport
from tests.support.emulation import emulator
from tests.support.remote import tree as trees
from tests.support.remote.workers import Worker

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.xdist_group("buildkit")]

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
LEAVES = 4
Workers = tuple[Worker, Worker]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trees.make(tmp_path_factory.mktemp("tree"), leaves=LEAVES, seconds=1.0)


@pytest.fixture(scope="module")
def local(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests that this machine's buildah makes, by step."""
    options = RunOptions(tree, platforms=(AMD64, ARM64), engine="buildah", store=tmp_path_factory.mktemp("local"))
    with emulator("arm64"):
        return digests(build(options, [], events=lambda _: None, cancel=Cancellation()))


@pytest.fixture
def restarted(workers: Workers) -> Iterator[Workers]:
    """The workers, which a test may kill: they run again afterwards."""
    yield workers
    for worker in workers:
        if worker.process is None:
            worker.start()


class Run:
    """A build on remote nodes, and what was said meanwhile."""

    def __init__(self, tree: Path, store: Path, *nodes: Node) -> None:
        self._options = RunOptions(tree, platforms=(AMD64, ARM64), store=store, builders=nodes)
        self.cancel = Cancellation()
        self.said: list[str] = []
        self.built: set[str] = set()
        self.on_line: Callable[[StepLog], None] = lambda _: None

    def __call__(self, **options: object) -> BuildReport:
        chosen = replace(self._options, **options)  # type: ignore[arg-type]
        return build(chosen, [], events=self._listen, cancel=self.cancel)

    def _listen(self, event: Event) -> None:
        if isinstance(event, Note):
            self.said.append(event.message)
        if isinstance(event, StepFinished) and event.outcome == Outcome.BUILT:
            self.built.add(event.title)
        if isinstance(event, StepLog):
            self.on_line(event)


def digests(report: BuildReport) -> dict[str, str]:
    errors = [result.error for result in report.results.by_step.values() if result.error]
    assert report.results.good, [(error.message, error.details) for error in errors]
    return {
        step.title: str(record.manifest.digest)
        for step in report.plan.steps
        if step.kind is StepKind.BUILD and (record := report.results.by_step[step.id].record)
    }


def builders(report: BuildReport) -> dict[str, str]:
    """Which node built what."""
    return {
        step.title: record.made_by.rpartition(" on ")[2]
        for step in report.plan.steps
        if step.kind is StepKind.BUILD and (record := report.results.by_step[step.id].record)
    }


def nodes(workers: Workers, *, both: bool = False) -> tuple[Node, Node]:
    first, second = workers
    if both:
        return first.node("first", AMD64, ARM64), second.node("second", AMD64, ARM64)
    return first.node("first"), second.node("second")


def test_each_platform_is_built_by_its_worker_with_the_local_digests(
    tree: Path, local: dict[str, str], workers: Workers, tmp_path: Path
) -> None:
    report = Run(tree, tmp_path, *nodes(workers))()
    assert digests(report) == local
    assert {title: title.endswith("arm64") for title in local} == {
        title: node == "second" for title, node in builders(report).items()
    }
    assert report.notes == ()


def test_a_worker_that_is_killed_in_mid_build_costs_nothing_but_time(
    tree: Path, local: dict[str, str], restarted: Workers, tmp_path: Path
) -> None:
    run = Run(tree, tmp_path, *nodes(restarted, both=True))
    victim = restarted[1]
    seen = threading.Event()

    def kill(line: StepLog) -> None:
        if "arm64" in line.step and "leaf" in line.step and "RUN" in line.line and not seen.is_set():
            seen.set()
            threading.Thread(target=victim.kill).start()

    run.on_line = kill
    report = run()
    assert seen.is_set()
    assert digests(report) == local
    lost = [note for note in report.notes if note.startswith("second was lost while it built leaf-")]
    assert lost, report.notes
    assert set(builders(report).values()) == {"first", "second"} or "second" not in builders(report).values()
    rebuilt = lost[0].removeprefix("second was lost while it built ").partition(",")[0]
    assert builders(report)[rebuilt] == "first"
    assert any(note.startswith("second is away: ") for note in report.notes)


def test_if_all_workers_are_killed_the_error_names_them_and_the_work_is_kept(
    tree: Path, local: dict[str, str], restarted: Workers, tmp_path: Path
) -> None:
    run = Run(tree, tmp_path, *nodes(restarted, both=True))
    bases = {"base linux/amd64", "base linux/arm64"}
    killers = [threading.Thread(target=worker.kill) for worker in restarted]

    def kill(line: StepLog) -> None:
        # A platform's leaves may begin while the other platform's base is still being built.
        if "leaf" in line.step and "RUN" in line.line and bases <= run.built and killers[0].ident is None:
            for killer in killers:
                killer.start()

    run.on_line = kill
    report = run()
    for killer in killers:
        killer.join()
    failed = [report.results.by_step[step].error for step in report.results.with_outcome(Outcome.FAILED)]
    assert failed
    for error in failed:
        assert isinstance(error, EngineError)
        assert error.exit_code is ExitCode.ENGINE
        assert error.message.startswith("no node is left that could build for linux/")
        assert [line.partition(":")[0] for line in error.details] == ["first", "second"]
        assert all("can't be reached" in line or "went away" in line for line in error.details), error.details
    for worker in restarted:
        worker.start()
    again = Run(tree, tmp_path, *nodes(restarted, both=True))()
    assert digests(again) == local
    reused = {again.plan.by_id[step].title for step in again.results.with_outcome(Outcome.REUSED)}
    assert run.built <= reused


def test_a_worker_that_refuses_us_stops_the_build_with_what_to_do(tree: Path, workers: Workers, tmp_path: Path) -> None:
    first, _ = nodes(workers)
    wrong = replace(first, trust=replace(first.trust, server_name="elsewhere"))
    report = Run(tree, tmp_path, wrong)(platforms=(AMD64,))
    (error,) = [report.results.by_step[step].error for step in report.results.with_outcome(Outcome.FAILED)]
    assert error is not None
    assert "Hostname mismatch" in error.details[0]
    assert "openssl s_client -connect" in (error.hint or "")


def test_a_step_can_be_cancelled_on_a_worker(tree: Path, workers: Workers, tmp_path: Path) -> None:
    run = Run(tree, tmp_path, *nodes(workers))
    run.on_line = lambda line: run.cancel.request() if "leaf" in line.step and "RUN" in line.line else None
    report = run()
    assert not report.results.good
    assert report.results.with_outcome(Outcome.FAILED) == []
    assert report.results.with_outcome(Outcome.CANCELLED)


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_failed_step_is_named_by_its_line(where: str, workers: Workers, tmp_path: Path) -> None:
    """buildah stops at the step that fails; BuildKit says which one it was."""
    root = trees.make(tmp_path / "tree", leaves=1)
    recipe = root / "pkg" / "leaf-00" / "Dockerfile"
    recipe.write_text(
        "ARG BASE_IMAGE\n# a comment\nFROM ${BASE_IMAGE}\nRUN true\nRUN echo why && \\\n    exit 3\nRUN true\n"
    )
    run = Run(root, tmp_path / "store", *nodes(workers)[: where == "there"])
    report = run(platforms=(AMD64,), engine="auto" if where == "there" else "buildah")
    (error,) = [report.results.by_step[step].error for step in report.results.with_outcome(Outcome.FAILED)]
    assert error is not None
    assert str(error.location) == "pkg/leaf-00/Dockerfile:5:1"
    assert "why" in error.details
