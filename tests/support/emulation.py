"""Programs of other platforms: the emulator that lets them run here, and a room in which none is registered.

Since Linux 6.7 every user namespace may have a binfmt_misc of its own (Documentation/admin-guide/binfmt-misc.rst),
which hides the machine's: such a room is tight. Before, a room only looks as if nothing were registered. Whoever
changed the machine's registrations instead would disturb what runs beside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pkgtool.engines import binfmt
from pkgtool.values import Platform

_REGISTRATIONS = Path("/usr/lib/binfmt.d")
_QEMU = {"arm64": "aarch64", "riscv64": "riscv64"}

# Both wait on standard input for their ids, then become the command.
_TIGHT_ROOM = """
read -r _ &&
mount --make-rprivate / &&
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc &&
exec "$@" </dev/null
"""
_SHAM_ROOM = """
read -r _ &&
mount --make-rprivate / &&
mount -t tmpfs sham /proc/sys/fs/binfmt_misc &&
touch /proc/sys/fs/binfmt_misc/register /proc/sys/fs/binfmt_misc/status &&
exec "$@" </dev/null
"""


@contextmanager
def emulator(arch: str) -> Iterator[None]:
    """Let programs for the architecture run: by Debian's qemu-user-static, if the machine can't run them already.

    What is registered here goes with its last user.
    """
    platform = Platform("linux", arch)
    if binfmt.runs_natively(platform):
        yield
        return
    name = f"pkgtool-tests-{arch}"
    place = Path(tempfile.gettempdir())
    with (place / f"{name}.users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (place / f"{name}.one-at-a-time").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if binfmt.handler(platform) is None:
                _register(arch, name)
        binfmt.require(platform, "the tests run such images")
        try:
            yield
        finally:
            with contextlib.suppress(BlockingIOError):  # others still use it
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (binfmt.BINFMT_MISC / name).exists():
                    (binfmt.BINFMT_MISC / name).write_text("-1")


def _register(arch: str, name: str) -> None:
    """What systemd-binfmt does where there is systemd."""
    if not (binfmt.BINFMT_MISC / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", binfmt.BINFMT_MISC], check=True)
    qemu = _QEMU[arch]
    line = (_REGISTRATIONS / f"qemu-{qemu}.conf").read_text().strip()
    (binfmt.BINFMT_MISC / "register").write_text(line.replace(f":qemu-{qemu}:", f":{name}:", 1))


@cache
def has_tight_rooms() -> bool:
    """Whether this kernel, and who runs the tests, can shut the machine's emulators out."""
    try:
        return _run(_TIGHT_ROOM, ["true"]).returncode == 0
    except OSError:
        return False


def run_without_emulators(command: list[str], *, tight: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command as root of a user namespace with all ids and an empty binfmt_misc.

    In a tight room nothing foreign can run. In the other one only the files of binfmt_misc say so, and what is written
    to `register` stays there to be read.
    """
    return _run(_TIGHT_ROOM if tight else _SHAM_ROOM, command)


def _run(script: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    room = ["unshare", "--user", "--mount", "sh", "-c", script, "sh", *command]
    with subprocess.Popen(
        room, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _give_all_ids(process.pid)
            out, err = process.communicate("go\n", timeout=1800)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _give_all_ids(process: int) -> None:
    """Map every user and group to itself, once the process is in its own user namespace."""
    ours = os.readlink("/proc/self/ns/user")
    while os.readlink(f"/proc/{process}/ns/user") == ours:
        os.sched_yield()
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{process}/{kind}").write_text("0 0 4294967295\n")
