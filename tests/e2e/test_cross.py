"""Go packages are compiled for other platforms where nothing of those can run; other packages say what they lack."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Built
from tests.support.emulation import run_without_emulators

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("emulated")]

_PROGRAMS = ("vsudd", "vpnkit-forwarder")
_MACHINES = {"amd64": "x86-64", "arm64": "ARM aarch64", "riscv64": "UCB RISC-V"}


def test_go_packages_need_no_emulator(built: Built, unpacked: Callable[..., Path]) -> None:
    """In a room where the kernel runs no foreign program they are built, to the same bytes; and that room is tight."""
    before = {name: built.image(name, "arm64").digest for name in _PROGRAMS}
    foreign = unpacked("vsudd", "arm64") / "vsudd"
    assert subprocess.run([foreign, "-h"], capture_output=True).returncode == 0, "the emulator does not work here"
    assert "Exec format error" in run_without_emulators([str(foreign), "-h"]).stderr

    command = built.pkgtool.command("build", "--force", "--platform", "linux/arm64", "--progress", "plain", *_PROGRAMS)
    done = run_without_emulators(command)
    assert done.returncode == 0, done.stderr
    for name in _PROGRAMS:
        assert f"build {name} linux/arm64: built in" in done.stderr
        assert Built(built.pkgtool, built.emulators).image(name, "arm64").digest == before[name]


@pytest.mark.parametrize("package", _PROGRAMS)
@pytest.mark.parametrize("arch", _MACHINES)
def test_programs_are_for_their_platform(unpacked: Callable[..., Path], package: str, arch: str) -> None:
    program = unpacked(package, arch) / package
    said = subprocess.run(["file", "--brief", program], capture_output=True, text=True, check=True).stdout
    assert _MACHINES[arch] in said
    assert "statically linked" in said
    assert "stripped" in said


@pytest.mark.parametrize("package", ["base", "getty", "sshd"])
def test_debian_s_programs_are_for_their_platform(unpacked: Callable[..., Path], package: str) -> None:
    program = {"base": "bin/bash", "getty": "bin/login", "sshd": "sbin/sshd"}[package]
    said = subprocess.run(["file", "--brief", unpacked(package, "arm64") / "usr" / program], capture_output=True)
    assert b"ARM aarch64" in said.stdout


def test_what_runs_foreign_programs_says_that_it_can_not_and_how_it_could(
    built: Built, unpacked: Callable[..., Path]
) -> None:
    """The hint is a command; done as it says, programs run."""
    foreign = unpacked("vsudd", "arm64") / "vsudd"
    command = built.pkgtool.command("build", "--force", "--platform", "linux/arm64", "--progress", "plain", "getty")
    done = run_without_emulators(command)
    assert done.returncode != 0
    assert "programs for linux/arm64 can't run on this machine: no emulator is registered for them" in done.stderr
    hint = next(line for line in done.stderr.splitlines() if line.startswith("hint: ")).removeprefix("hint: ")

    doctor = run_without_emulators(built.pkgtool.command("doctor"))
    said = next(line for line in doctor.stdout.splitlines() if "programs for linux/arm64" in line)
    assert said.startswith("optional")
    assert hint in doctor.stdout

    as_root = hint.replace("sudo ", "")
    assert run_without_emulators(["sh", "-c", f"{as_root} && {foreign} -h"]).returncode == 0
