"""How quickly a kernel boots, and how the boot harness fails: each way is told apart, the console is the evidence."""

from __future__ import annotations

import resource

import pytest

from pkgtool.errors import KernelError
from pkgtool.kernel.boot.guest import BootFailed, boot
from pkgtool.kernel.boot.image_nodes import image_nodes
from pkgtool.kernel.boot.machine import Machine
from pkgtool.kernel.boot.proofs import GETTY_COMMAND
from pkgtool.kernel.boot.scenarios import Workload, console_says, login_prompt, running
from pkgtool.oci.store import Store
from tests.support.built_kernel import image_of

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.engine, pytest.mark.xdist_group("kernel")]
SECONDS = 120.0
GETTY = "getty"


def test_a_panic_is_told_at_once(built):
    with boot(Machine(built.kernel), seconds=SECONDS) as guest, pytest.raises(BootFailed, match="panicked") as caught:
        guest.expect("never said", SECONDS)
    assert any("Unable to mount root" in line for line in caught.value.details)


def test_silence_has_a_limit(built, tools):
    with (
        running(Machine(built.kernel), Workload((), "$b sleep 100\n", tools), seconds=SECONDS) as guest,
        pytest.raises(BootFailed, match="within 1 s"),
    ):
        guest.expect("never said", 1)


def test_an_end_before_the_expectation_is_told(built, tools):
    with pytest.raises(BootFailed, match="ended before"):
        console_says(Machine(built.kernel), Workload((), "true\n", tools), ["never said"], seconds=SECONDS)


def test_one_can_type_on_the_console(built, tools):
    with running(Machine(built.kernel), Workload((), "read x; echo got $x\n", tools), seconds=SECONDS) as guest:
        guest.send("this\n")
        guest.expect("got this", SECONDS)
        assert "got this" in guest.wait(SECONDS)


def test_what_is_no_kernel_does_not_start(tmp_path):
    (tmp_path / "kernel").write_text("no kernel")
    with pytest.raises(BootFailed), boot(Machine(tmp_path / "kernel"), seconds=20) as guest:
        guest.expect("anything", 20)


def test_unknown_machines_are_refused(tmp_path):
    with pytest.raises(KernelError, match="no machine to boot s390x"):
        Machine(tmp_path, arch="s390x").arguments(tmp_path)


def test_the_login_prompt_takes_less_than_ten_seconds(built, tools):
    """Of a processor's time: how long it takes on a clock says more about what else runs here."""
    built.pkgtool.run("build", "--progress", "plain", GETTY, timeout=1200).ok()
    layout = Store(built.pkgtool.store).layout
    found = layout.resolve(image_of(built.pkgtool, GETTY).reference)
    getty = tuple(image_nodes(layout, found))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = login_prompt(Machine(built.kernel), Workload(getty, f"{GETTY_COMMAND}\n", tools), seconds=SECONDS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    assert "login:" in shown.said
    assert taken < 10, f"{taken:.1f} s of a processor, {shown.seconds:.1f} s on the clock"
