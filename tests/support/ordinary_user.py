"""Running a program as an ordinary user with subordinate ids, without making one on the machine.

In a mount namespace of its own, /etc/passwd, /etc/subuid and the like are copies that know the user, and directories
on the way to this Python and this checkout that only root may enter are covered by ones that anybody may.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.command_line import PROJECT

_ID = 12345
_LINES = {
    "passwd": f"builder:x:{_ID}:{_ID}::{{home}}:/bin/sh\n",
    "group": f"builder:x:{_ID}:\n",
    "subuid": "builder:300000:65536\n",
    "subgid": "builder:300000:65536\n",
}


@dataclass(frozen=True)
class OrdinaryUser:
    """A user whose home is below `place`, which everybody must be able to enter."""

    place: Path

    @property
    def home(self) -> Path:
        return self.place / "home"

    def prepare(self) -> None:
        """Write the copies of the machine's files. Root is needed."""
        if os.geteuid() != 0:
            raise RuntimeError("becoming another user needs root: sudo make test")
        self.home.mkdir(parents=True)
        for name, line in _LINES.items():
            system = Path("/etc", name)
            before = system.read_text() if system.exists() else ""
            (self.place / name).write_text(before + line.format(home=self.home))
        self.own(self.home)

    def own(self, directory: Path) -> None:
        """Make everything below a directory the user's."""
        subprocess.run(["chown", "-R", f"{_ID}:{_ID}", directory], check=True)

    def run(self, command: Sequence[str], **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program as that user, with a minimal environment, to its end."""
        mounts = [f"mount --bind {self.place}/{name} /etc/{name}" for name in _LINES if Path("/etc", name).exists()]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8", **env}
        become = ["setpriv", f"--reuid={_ID}", f"--regid={_ID}", "--clear-groups", "env", "-i"]
        values = [f"{name}={value}" for name, value in environment.items()]
        script = [*mounts, *self._openings(), f"exec {shlex.join([*become, *values, *command])}"]
        return subprocess.run(
            ["unshare", "--mount", "sh", "-ec", "\n".join(script)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            cwd="/",
        )

    def _openings(self) -> list[str]:
        """Commands that let the user reach what Python and pkgtool are read from."""
        needed = {Path(sys.base_prefix).resolve(), PROJECT}
        closed: dict[Path, list[Path]] = {}
        for path in needed:
            above = next((p for p in reversed(path.parents) if not p.stat().st_mode & 0o001), None)
            if above:
                closed.setdefault(above, []).append(path)
        commands = []
        for number, (above, paths) in enumerate(closed.items()):
            hold = self.place / f"hold-{number}"
            hold.mkdir(exist_ok=True)
            commands += [f"mount --rbind {above} {hold}", f"mount -t tmpfs -o mode=755 open {above}"]
            for path in paths:
                commands += [f"mkdir -p {path}", f"mount --rbind {hold}/{path.relative_to(above)} {path}"]
        return commands


def make(place: Path) -> OrdinaryUser:
    """A user, ready to run things."""
    place.mkdir(mode=0o755)
    user = OrdinaryUser(place)
    user.prepare()
    return user


def remove(user: OrdinaryUser) -> None:
    """Remove what the user left behind, files of subordinate ids included."""
    shutil.rmtree(user.place)
