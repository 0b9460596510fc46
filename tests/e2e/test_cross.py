"""Go packages are compiled for other platforms where nothing of those can run; other packages say what they lack."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pkgtool.engines.binfmt import BINFMT_MISC
from tests.e2e.conftest import Built
from tests.support.command_line import PROJECT
from tests.support.emulation import has_tight_rooms, run_without_emulators
from tests.support.executed import executed, foreign, traced

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("emulated")]

_PROGRAMS = ("vsudd", "vpnkit-forwarder")
_ROOMS = (True, False) if has_tight_rooms() else (False,)
_MACHINES = {"amd64": "x86-64", "arm64": "ARM aarch64", "riscv64": "UCB RISC-V"}


def test_go_packages_need_no_emulator(built: Built, unpacked: Callable[..., Path], tmp_path: Path) -> None:
    """Every program that their builds start is one of this machine; where the kernel has rooms in which none other
    runs, they are built in one; and to the same bytes."""
    before = {name: built.image(name, "arm64").digest for name in _PROGRAMS}
    stranger = str(unpacked("vsudd", "arm64") / "vsudd")
    seen = subprocess.run(traced([stranger, "-h"], tmp_path / "stranger"), capture_output=True, text=True)
    assert seen.returncode == 0, f"the emulator does not work here: {seen.stderr}"
    assert foreign(executed(tmp_path / "stranger"), [Path("/")]) == [stranger]
    if has_tight_rooms():
        assert "Exec format error" in run_without_emulators([stranger, "-h"]).stderr

    command = built.pkgtool.command("build", "--force", "--platform", "linux/arm64", "--progress", "plain", *_PROGRAMS)
    done = run_without_emulators(traced(command, tmp_path / "build"), tight=has_tight_rooms())
    assert done.returncode == 0, done.stderr
    started = executed(tmp_path / "build")
    assert {Path(path).name for path in started} >= {"buildah", "go-build", "compile", "link"}
    places = [Path("/"), unpacked("go-compile"), *(PROJECT / "pkg" / name for name in _PROGRAMS)]
    assert foreign(started, places) == []
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


@pytest.mark.parametrize("tight", _ROOMS, ids=lambda tight: "tight" if tight else "sham")
def test_what_runs_foreign_programs_says_that_it_can_not_and_how_it_could(
    built: Built, unpacked: Callable[..., Path], tight: bool
) -> None:
    """The hint is a command; done as it says, programs run: in a tight room they really do."""
    stranger = unpacked("vsudd", "arm64") / "vsudd"
    command = built.pkgtool.command("build", "--force", "--platform", "linux/arm64", "--progress", "plain", "getty")
    done = run_without_emulators(command, tight=tight)
    assert done.returncode != 0
    assert "programs for linux/arm64 can't run on this machine: no emulator is registered for them" in done.stderr
    hint = next(line for line in done.stderr.splitlines() if line.startswith("hint: ")).removeprefix("hint: ")

    doctor = run_without_emulators(built.pkgtool.command("doctor"), tight=tight)
    said = next(line for line in doctor.stdout.splitlines() if "programs for linux/arm64" in line)
    assert said.startswith("optional")
    assert hint in doctor.stdout

    as_root = hint.replace("sudo ", "")
    if tight:
        assert run_without_emulators(["sh", "-c", f"{as_root} && {stranger} -h"]).returncode == 0
    else:
        registered = run_without_emulators(["sh", "-c", f"{as_root} >&2 && cat {BINFMT_MISC}/register"], tight=False)
        assert registered.stdout == Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_text()
