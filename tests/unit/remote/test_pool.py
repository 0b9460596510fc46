"""The pool on fake machines: who builds what, what happens when one is lost, and what is said about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.engines.interface import BuildRequest, EngineInfo
from pkgtool.engines.pool import Member, Pool
from pkgtool.engines.schedule import Patience
from pkgtool.errors import BuildError, EngineError, Interrupted
from pkgtool.events import Event, Note
from tests.support.remote.fake_engine import AMD64, ARM64, FakeEngine, FakeMachine, request, requests

QUICK = Patience(first=0.01, longest=0.05, attempts=3)


class Site:
    """A pool, and all that it said."""

    def __init__(self, *members: Member) -> None:
        self.notes: list[str] = []
        self.pool = Pool(members, AMD64, events=self._listen, patience=QUICK)

    def _listen(self, event: Event) -> None:
        assert isinstance(event, Note)
        self.notes.append(event.message)

    def build(self, asked: BuildRequest, place: Path, cancel: Cancellation | None = None) -> EngineInfo:
        output = place / f"{asked.title}.tar"
        made_by = self.pool.build(asked, output, log=lambda _: None, cancel=cancel or Cancellation())
        assert output.read_text() == asked.title
        return made_by

    def build_all(self, asked: Sequence[BuildRequest], place: Path, *, threads: int = 8) -> list[str]:
        with ThreadPoolExecutor(threads) as workers:
            return [info.node for info in workers.map(lambda one: self.build(one, place), asked)]


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_work_goes_to_the_node_that_runs_it_natively(tmp_path: Path) -> None:
    intel, arm = FakeMachine("intel", AMD64, (ARM64,)), FakeMachine("arm", ARM64, (AMD64,))
    site = Site(intel.member(), arm.member())
    assert [site.build(request("one", p), tmp_path).node for p in (AMD64, ARM64, AMD64)] == ["intel", "arm", "intel"]


def test_emulation_comes_last_even_if_the_native_node_is_busy(tmp_path: Path) -> None:
    intel, arm = FakeMachine("intel", AMD64, (ARM64,)), FakeMachine("arm", ARM64, seconds=0.05)
    site = Site(intel.member(jobs=4), arm.member(jobs=1))
    assert site.build_all(requests(4, ARM64), tmp_path) == ["arm"] * 4
    assert arm.most_at_once == 1


def test_emulation_is_used_when_the_native_node_is_lost(tmp_path: Path) -> None:
    intel, arm = FakeMachine("intel", AMD64, (ARM64,)), FakeMachine("arm", ARM64, up=False)
    site = Site(intel.member(), arm.member())
    assert site.build(request("one", ARM64), tmp_path).node == "intel"
    assert "arm is away: nobody answers" in site.notes


def test_what_cross_compiles_goes_where_its_tools_run(tmp_path: Path) -> None:
    intel, arm = FakeMachine("intel", AMD64), FakeMachine("arm", ARM64)
    site = Site(intel.member(AMD64), arm.member(ARM64))
    assert site.build(request("one", ARM64, tools=AMD64), tmp_path).node == "intel"


def test_no_node_gets_more_than_it_has_room_for_and_work_is_spread(tmp_path: Path) -> None:
    one, two = FakeMachine("one", seconds=0.03), FakeMachine("two", seconds=0.03)
    site = Site(one.member(jobs=2), two.member(jobs=3))
    site.build_all(requests(20), tmp_path, threads=20)
    assert (one.most_at_once, two.most_at_once) == (2, 3)
    assert len(one.built) + len(two.built) == 20
    assert len(one.built) >= 4
    assert len(two.built) >= 6


def test_a_faster_node_does_more(tmp_path: Path) -> None:
    quick, slow = FakeMachine("quick", seconds=0.01), FakeMachine("slow", seconds=0.1)
    Site(quick.member(), slow.member()).build_all(requests(22), tmp_path)
    assert len(quick.built) > 3 * len(slow.built)


def test_the_first_to_come_is_the_first_served(tmp_path: Path) -> None:
    only = FakeMachine("only", seconds=0.02)
    site = Site(only.member())
    with ThreadPoolExecutor(8) as workers:
        for asked in requests(8):
            workers.submit(site.build, asked, tmp_path)
            time.sleep(0.005)
    assert only.built == [f"package {number}" for number in range(8)]


def test_what_a_lost_node_was_building_is_built_elsewhere(tmp_path: Path) -> None:
    one, two = FakeMachine("one", seconds=0.3), FakeMachine("two", seconds=0.02)
    site = Site(one.member(jobs=2), two.member(jobs=2))
    threading.Timer(0.1, one.pull_the_plug).start()
    site.build_all(requests(10), tmp_path)
    assert sorted(two.built) == [f"package {number}" for number in range(10)]
    said = [note for note in site.notes if note.startswith("one was lost while it built package")]
    assert len(said) == 2
    assert said[0].endswith("which is built again elsewhere")
    assert site.notes.count("one is away: connection reset") == 1


def test_a_node_that_comes_back_is_used_again(tmp_path: Path) -> None:
    one, two = FakeMachine("one", seconds=0.01), FakeMachine("two", seconds=0.01)
    site = Site(one.member(), two.member())
    site.build_all(requests(4), tmp_path)
    one.pull_the_plug()
    site.build_all(requests(4), tmp_path)
    one.come_back()
    before = len(one.built)

    def built_there() -> bool:
        site.build_all(requests(2), tmp_path)
        return len(one.built) > before

    wait_until(built_there)
    assert "one answers again" in site.notes


def test_a_node_that_restarts_is_waited_for_if_it_is_the_only_one(tmp_path: Path) -> None:
    only = FakeMachine("only", up=False)
    site = Site(only.member())
    with ThreadPoolExecutor(1) as worker:
        building = worker.submit(site.build, request(), tmp_path)
        wait_until(lambda: only.connects >= 1)
        only.come_back()
        assert building.result(10).node == "only"


def test_if_all_are_lost_each_is_named_with_its_reason(tmp_path: Path) -> None:
    one, two = FakeMachine("one", seconds=5), FakeMachine("two", refusal="its certificate is for another name")
    site = Site(one.member(AMD64), two.member(AMD64), FakeMachine("other", ARM64).member(ARM64))
    threading.Timer(0.1, one.pull_the_plug).start()
    with pytest.raises(EngineError) as caught:
        site.build(request(), tmp_path)
    assert caught.value.message == "no node is left that could build for linux/amd64"
    assert caught.value.details == ("one: nobody answers", "two: its certificate is for another name")
    assert caught.value.hint == "mend it"


def test_a_node_that_refuses_is_said_once_and_not_asked_again(tmp_path: Path) -> None:
    bad, good = FakeMachine("bad", refusal="its certificate is for another name"), FakeMachine("good")
    site = Site(bad.member(), good.member())
    site.build_all(requests(5), tmp_path)
    assert bad.connects == 1
    assert site.notes == ["bad can't be used: its certificate is for another name"]


def test_a_step_that_kills_every_node_is_given_up(tmp_path: Path) -> None:
    class Explosive(FakeMachine):
        def work(self, request: BuildRequest, cancel: Cancellation) -> None:
            self._plug.set()
            super().work(request, cancel)

    machines = [Explosive(name) for name in ("one", "two")]
    with pytest.raises(EngineError, match=r"a package was given up: \d times the node that built it was lost"):
        Site(*(machine.member() for machine in machines)).build(request(), tmp_path)


def test_a_failed_step_is_not_tried_elsewhere(tmp_path: Path) -> None:
    one, two = FakeMachine("one", failing=("a package",)), FakeMachine("two", failing=("a package",))
    site = Site(one.member(), two.member())
    with pytest.raises(BuildError, match="exit code: 1"):
        site.build(request(), tmp_path)
    assert site.notes == []


def test_cancellation_ends_those_who_wait_and_those_who_work(tmp_path: Path) -> None:
    only = FakeMachine("only", seconds=30)
    site, cancel = Site(only.member()), Cancellation()
    with ThreadPoolExecutor(3) as workers:
        building = [workers.submit(site.build, asked, tmp_path, cancel) for asked in requests(3)]
        wait_until(lambda: only.at_once)
        cancel.request()
        for one in building:
            with pytest.raises(Interrupted):
                one.result(10)


def test_platforms_that_no_node_is_for_are_left_to_this_machine(tmp_path: Path) -> None:
    arm, here = FakeMachine("arm", ARM64), FakeMachine("here", AMD64, (ARM64,))
    site = Site(arm.member(ARM64), here.member(reserve=True))
    assert site.build(request("one", AMD64), tmp_path).node == "here"
    assert site.build(request("two", ARM64), tmp_path).node == "arm"


def test_this_machine_does_not_emulate_for_nodes_that_are_lost(tmp_path: Path) -> None:
    arm, here = FakeMachine("arm", ARM64, up=False), FakeMachine("here", AMD64, (ARM64,))
    with pytest.raises(EngineError, match="no node is left that could build for linux/arm64"):
        Site(arm.member(ARM64), here.member(reserve=True)).build(request("one", ARM64), tmp_path)
    assert here.connects == 0


def test_a_slow_answer_of_one_node_does_not_hold_up_the_others(tmp_path: Path) -> None:
    hang = threading.Event()

    class Slow(FakeMachine):
        def connect(self) -> FakeEngine:
            hang.wait(10)
            return super().connect()

    slow, quick = Slow("slow"), FakeMachine("quick")
    site = Site(slow.member(), quick.member())
    assert site.build(request(), tmp_path).node == "quick"
    hang.set()


def test_closing_hangs_up_everywhere(tmp_path: Path) -> None:
    machines = [FakeMachine("one", seconds=0.01), FakeMachine("two", seconds=0.01)]
    site = Site(*(machine.member() for machine in machines))
    site.build_all(requests(6), tmp_path)
    machines[0].pull_the_plug()
    site.build_all(requests(6), tmp_path)
    site.pool.close()
    assert [machine.open for machine in machines] == [0, 0]


def test_a_defect_in_a_node_is_raised_where_the_build_waits(tmp_path: Path) -> None:
    class Broken(FakeMachine):
        def connect(self) -> FakeEngine:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Site(Broken("broken").member()).build(request(), tmp_path)
