"""Which foreign programs the kernel would run, told from binfmt_misc's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pkgtool import programs
from pkgtool.engines import binfmt
from pkgtool.errors import EngineError
from pkgtool.values import Platform

ARM64 = Platform.parse("linux/arm64")
RISCV64 = Platform.parse("linux/riscv64")
QEMU = """\
enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose processor runs none of the platforms in question."""
    machine = os.uname()
    fields = (machine.sysname, machine.nodename, machine.release, machine.version, "x86_64")
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(fields))
    monkeypatch.setattr(programs, "find", lambda name: f"/usr/bin/{name}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "register").touch()
    (tmp_path / "status").write_text("enabled\n")
    return tmp_path


def refused(platform: Platform, place: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        binfmt.require(platform, "a test", place)
    return caught.value


def test_a_handler_is_known_by_its_magic_whatever_its_name(foreign: None, place: Path) -> None:
    (place / "some-name").write_text(QEMU)
    binfmt.require(ARM64, "a test", place)
    found = binfmt.handler(ARM64, place)
    assert found is not None
    assert found.interpreter == "/usr/libexec/qemu-binfmt/aarch64-binfmt-P"
    assert binfmt.handler(RISCV64, place) is None


def test_the_machines_own_programs_need_no_handler(foreign: None, tmp_path: Path) -> None:
    binfmt.require(Platform.parse("linux/amd64"), "a test", tmp_path)
    assert binfmt.runs_natively(Platform.parse("linux/386"))
    assert not binfmt.runs_natively(ARM64)


def test_nothing_is_registered(foreign: None, place: Path) -> None:
    (place / "jar").write_text("enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n")
    error = refused(ARM64, place)
    assert error.message == (
        "programs for linux/arm64 can't run on this machine: no emulator is registered for them (a test)"
    )
    assert error.hint == f"sudo tee {place}/register </usr/lib/binfmt.d/qemu-aarch64.conf"


def test_the_file_system_is_not_mounted(foreign: None, tmp_path: Path) -> None:
    error = refused(ARM64, tmp_path)
    assert "binfmt_misc is not mounted" in error.message
    assert error.hint is not None
    assert f"sudo mount -t binfmt_misc binfmt_misc {tmp_path}" in error.hint


def test_a_handler_that_can_not_serve_in_a_container(foreign: None, place: Path) -> None:
    (place / "qemu-aarch64").write_text(QEMU.replace("POF", "PO"))
    error = refused(ARM64, place)
    assert "is registered without the flag F" in error.message
    assert error.hint is not None
    assert error.hint.startswith(f"echo -1 | sudo tee {place}/qemu-aarch64 && sudo tee {place}/register <")


def test_without_an_emulator_its_package_comes_first(
    foreign: None, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "find", lambda name: None)
    assert refused(ARM64, place).hint == "sudo apt-get install qemu-user-static, then see what pkgtool doctor says"


def test_a_disabled_handler_does_not_count(foreign: None, place: Path) -> None:
    (place / "qemu-aarch64").write_text(QEMU.replace("enabled", "disabled"))
    assert binfmt.handler(ARM64, place) is None


def test_a_handler_without_mask_matches_exactly() -> None:
    found = binfmt.parse("x", "enabled\ninterpreter /x\nflags: F\noffset 0\nmagic 7f454c46\n")
    assert found is not None
    assert found.takes(binfmt.elf_header(ARM64))
    assert not found.takes(b"#!")
