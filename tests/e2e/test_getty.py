"""getty on pseudo-terminals that stand in for consoles: prompts, passwords, refusals, signals."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Built
from tests.support.getty import SHADOW, Getty, log_in
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("packages")]


@pytest.fixture
def getty(built: Built, rootfs: Callable[..., Path], tmp_path: Path) -> Getty:
    return Getty(built.image("getty"), rootfs("getty"), tmp_path / "getty")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as opened:
        yield opened


@pytest.mark.parametrize("end", ["", "\n"], ids=["no final newline", "final newline"])
def test_root_logs_in_with_the_hosts_password(getty: Getty, terminal: Terminal, end: str) -> None:
    with getty("quiet console=ttyS0,115200n8 root=/dev/sda", {"ttyS0": terminal}, shadow=SHADOW + end):
        log_in(terminal)
        terminal.expect(r"\(ns: getty\) .*# ")
        terminal.type("tty; id -u; stty speed; grep -c . /etc/shadow")
        shown = terminal.expect(r"\n\d\d+\r\n")
        assert "/dev/ttyS0\r\n0\r\n115200\r\n" in shown  # and the other users of our own shadow file are still there


def test_a_wrong_password_is_refused(getty: Getty, terminal: Terminal) -> None:
    with getty("console=ttyS0", {"ttyS0": terminal}, shadow=SHADOW):
        log_in(terminal, "battery staple")
        terminal.expect("Login incorrect")


def test_without_a_shadow_file_nobody_logs_in(getty: Getty, terminal: Terminal) -> None:
    with getty("console=ttyS0", {"ttyS0": terminal}):
        log_in(terminal, "")
        terminal.expect("Login incorrect")


def test_a_shadow_file_without_root_changes_nothing(getty: Getty, terminal: Terminal) -> None:
    with getty("console=ttyS0", {"ttyS0": terminal}, shadow=SHADOW.replace("root", "other")) as container:
        container.wait_for("getty.shadow has no line for root")
        log_in(terminal)
        terminal.expect("Login incorrect")


def test_root_stays_out_on_a_terminal_that_is_not_in_securetty(getty: Getty, terminal: Terminal) -> None:
    """Also on a console of the kernel's, which pam_securetty would let pass by itself."""
    with getty("console=ttyS9", {"ttyS9": terminal}, shadow=SHADOW) as container:
        container.wait_for("ttyS9 is not in /etc/securetty: root can't log in there")
        terminal.expect("login: ")
        terminal.type("root")
        assert "Password" not in terminal.expect("Login incorrect"), "a password was asked for on an insecure line"


def test_securetty_can_be_replaced(getty: Getty, terminal: Terminal) -> None:
    with getty("console=ttyS9", {"ttyS9": terminal}, shadow=SHADOW, files={"/etc/securetty": "ttyS9\n"}):
        log_in(terminal)
        terminal.expect("# ")


def test_insecure_gives_a_root_shell_that_obeys_the_keyboard(getty: Getty, terminal: Terminal) -> None:
    with getty("console=ttyS0", {"ttyS0": terminal}, env=("INSECURE=true",)):
        terminal.expect("You are in the getty container")
        assert "getty container" not in terminal.expect(r"\(ns: getty\) .*# "), "the message of the day came twice"
        terminal.type("sleep 1000")
        time.sleep(0.5)
        terminal.press("\x03")
        terminal.expect("# ", seconds=20)
        terminal.type("logout")
        terminal.expect(r"\(ns: getty\) .*# ", seconds=20)  # and again


def test_every_console_once_and_missing_ones_named(getty: Getty) -> None:
    with Terminal() as serial, Terminal() as virtual:
        words = "console=tty0 console=ttyS0,9600 console=tty0 console=null console= console=ttyS7 a=console=hvc0"
        with getty(words, {"ttyS0": serial, "tty0": virtual}, env=("INSECURE=true",)) as container:
            for terminal, speed, kind in ((serial, 9600, "vt220"), (virtual, 38400, "linux")):
                terminal.expect("# ")
                terminal.type("stty speed; echo $TERM")
                terminal.expect(rf"\n{speed}\r\n{kind}\r\n")
            container.wait_for("tty0 is named twice")
            container.wait_for("console=ttyS7, but /dev/ttyS7 is no character device")
            assert container.log.count("a prompt on") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_ends_it_with_whoever_is_logged_in(getty: Getty, number: signal.Signals) -> None:
    with (
        Terminal() as one,
        Terminal() as other,
        getty("console=ttyS0 console=hvc0", {"ttyS0": one, "hvc0": other}, shadow=SHADOW) as container,
    ):
        log_in(one)
        one.expect("# ")
        other.expect("login: ")
        assert len(container.children()) >= 5
        container.signal(number)
        assert container.process.wait(20) == 0
        assert container.children() == []


def test_without_consoles_it_stays_until_it_is_ended(getty: Getty) -> None:
    with getty("quiet console=ttyS7", {}) as container:
        container.wait_for("there is no console to put a prompt on")
        time.sleep(0.5)
        assert container.process.poll() is None
        container.signal(signal.SIGTERM)
        assert container.process.wait(20) == 0


def test_as_a_start_script_it_gives_shells_and_ends(getty: Getty, terminal: Terminal) -> None:
    command = ("/bin/sh", "-c", "/etc/init.d/001-getty && echo started && exec sleep 1000")
    with getty("console=ttyS0", {"ttyS0": terminal}, command=command) as container:
        container.wait_for("started")
        terminal.expect("# ")
        terminal.type("id -u")
        terminal.expect(r"\n0\r\n")


def test_no_prompt_on_a_terminal_that_is_no_console(getty: Getty, terminal: Terminal) -> None:
    """Nothing but the kernel's command line decides where prompts are."""
    with getty("console=ttyS0", {"ttyS1": terminal}) as container:
        container.wait_for("ttyS0 is no character device")
        assert terminal.silent(1) == ""
