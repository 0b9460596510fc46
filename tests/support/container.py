"""Running a built image without any engine, as LinuxKit's init would: the image's label becomes a runtime's bundle.

The label `org.mobyproject.config` says what of the host the container sees (linuxkit/docs/yaml.md). The "host" is a
directory of the test, so that nothing of the machine is touched; crun (Debian package) runs the bundle. Everything
started ends with the test: it is in a process namespace of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.store_images import StoredImage

_CAPABILITIES = """AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE
DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN
NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT
SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM""".split()
_FILES_OF_THE_HOST = ("/etc/resolv.conf", "/usr/bin/ctr", "/usr/bin/runc")


@dataclass(slots=True)
class Container:
    """A running container. `host` is the directory that it takes for the host's root."""

    process: subprocess.Popen[bytes]
    host: Path
    rootfs: Path
    _log: Path

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return self._log.read_text("utf-8", "replace")

    def wait_for(self, text: str, *, seconds: float = 60) -> None:
        """Until it has printed the text. Fails if it ends before."""
        deadline = time.monotonic() + seconds
        while text not in self.log:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"no {text!r} within {seconds} s:\n{self.log}"
            time.sleep(0.05)

    def wait_for_file(self, path: str, *, seconds: float = 60) -> Path:
        """Until a path of the host exists: a socket that the container makes."""
        deadline = time.monotonic() + seconds
        place = self.host / path.lstrip("/")
        while not place.exists():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"no {place} within {seconds} s:\n{self.log}"
            time.sleep(0.05)
        return place

    def children(self) -> list[int]:
        """The processes inside, by their numbers outside, without the runtime's own."""
        pending, found = [self.process.pid], []
        while pending:
            number = pending.pop()
            listed = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(number)], capture_output=True, text=True)
            for line in listed.stdout.splitlines():
                child, name = line.split(maxsplit=1)
                pending.append(int(child))
                if not name.startswith(("unshare", "crun")):
                    found.append(int(child))
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the container's first process, as a runtime does to stop it."""
        os.kill(min(self.children()), number)


@dataclass(frozen=True, slots=True)
class Service:
    """What a LinuxKit YAML may say about a service, and files that stand in for things of the machine.

    `mounts` lie over everything else: source on this machine → place in the container.
    """

    command: Sequence[str] = ()
    env: Sequence[str] = ()
    binds: Sequence[str] = ()
    mounts: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def running(image: StoredImage, rootfs: Path, place: Path, service: Service = Service()) -> Iterator[Container]:
    """Run an image that is unpacked at `rootfs` (which it may change); `place` is an empty directory."""
    if shutil.which("crun") is None:
        raise RuntimeError("crun is missing: sudo apt-get install crun")
    host = place / "host"
    bundle = place / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text(json.dumps(_bundle(image, rootfs, host, service)))
    log = place / "log"
    runtime = ["crun", f"--root={place}/state", "--cgroup-manager=disabled", "run", f"--bundle={bundle}"]
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *runtime, f"test-{uuid.uuid4().hex}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Container(process, host, rootfs, log)
    finally:
        process.kill()
        process.wait()


def _bundle(image: StoredImage, rootfs: Path, host: Path, service: Service) -> dict[str, Any]:
    """The runtime's configuration (OCI runtime-spec 1.0) that follows from the image and its label."""
    label = image.runtime
    wanted = label.get("capabilities", [])
    capabilities = [f"CAP_{name}" for name in _CAPABILITIES] if wanted == ["all"] else wanted
    devices = [entry for entry in label.get("devices", []) if entry["path"] != "all"]
    # As LinuxKit's defaults are: processes of its own, the network of the root namespace.
    namespaces = ["mount", "ipc", "uts", *([] if label.get("pid") == "host" else ["pid"])]
    binds = [*label.get("binds", []), *service.binds]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(service.command) or image.command,
            "env": [*image.config["config"]["Env"], *service.env],
            "cwd": image.config["config"]["WorkingDir"],
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        },
        "root": {"path": str(rootfs)},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=0755"]},
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666"],
            },
            *(_bind(str(_on_host(host, line.split(":")[0])), line.split(":")[1]) for line in binds),
            *(_bind(source, target) for source, target in service.mounts.items()),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            "devices": [
                {
                    "path": entry["path"],
                    "type": entry["type"],
                    "major": entry["major"],
                    "minor": entry["minor"],
                    "fileMode": entry["mode"],
                }
                for entry in devices
                if entry["path"] not in service.mounts.values()
            ],
        },
    }


def _bind(source: str, target: str) -> dict[str, Any]:
    return {"destination": target, "type": "bind", "source": source, "options": ["rbind", "rw"]}


def _on_host(host: Path, path: str) -> Path:
    """Where a bind's source is; /sys is the machine's own, all else is the test's and made if it is not there."""
    if path == "/sys":
        return Path("/sys")
    place = host / path.lstrip("/")
    if path in _FILES_OF_THE_HOST:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    elif not place.exists():
        place.mkdir(parents=True, exist_ok=True)
    return place
