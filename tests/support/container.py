"""Running a built image without any engine, as LinuxKit's init would: the image's label becomes a runtime's bundle.

The label `org.mobyproject.config` says what of the host the container sees (linuxkit/docs/yaml.md). The "host" is a
directory of the test, so that nothing of the machine is touched; runc runs the bundle. Everything that is started
ends with the test: it is in a process namespace of its own.
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

# capabilities(7) in the order of their numbers.
_CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_FILES_OF_THE_HOST = ("/etc/resolv.conf", "/usr/bin/ctr", "/usr/bin/runc")


# The runtime lets nothing be mounted inside /proc, so that is done outside, in the namespaces that it starts in.
_WITH_MOUNTS = """
left=$1 && shift &&
while [ "$left" -gt 0 ]; do mount --bind "$1" "$2" && shift 2 && left=$((left - 1)) || exit; done &&
exec "$@"
"""


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
                if not name.startswith(("unshare", "runc")):
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
    if shutil.which("runc") is None:
        raise RuntimeError("runc is missing: sudo apt-get install runc")
    host = place / "host"
    bundle = place / "bundle"
    bundle.mkdir(parents=True)
    name = f"pkgtool-test-{uuid.uuid4().hex}"
    config = _bundle(image, rootfs, host, service)
    config["linux"]["cgroupsPath"] = f"/{name}"
    (bundle / "config.json").write_text(json.dumps(config))
    log = place / "log"
    runtime = ["runc", f"--root={place}/state", "run", f"--bundle={bundle}", name]
    outside = [word for pair in service.mounts.items() if _in_proc(pair[1]) for word in pair]
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command += ["sh", "-c", _WITH_MOUNTS, "sh", str(len(outside) // 2), *outside, *runtime]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    container = Container(process, host, rootfs, log)
    try:
        yield container
    except BaseException as failure:
        failure.add_note(f"the container printed:\n{container.log}")
        raise
    finally:
        process.kill()
        process.wait()
        _remove_control_groups(name)


def _remove_control_groups(name: str) -> None:
    """Those that the runtime made; they are empty as soon as the last process is gone."""
    deadline = time.monotonic() + 20
    for group in Path("/sys/fs/cgroup").glob(f"**/{name}"):
        while group.exists():
            try:
                group.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _bundle(image: StoredImage, rootfs: Path, host: Path, service: Service) -> dict[str, Any]:
    """The runtime's configuration (OCI runtime-spec 1.0) that follows from the image and its label."""
    label = image.runtime
    wanted = label.get("capabilities", [])
    capabilities = _all_capabilities() if wanted == ["all"] else wanted
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
            # The processes of the "host" are those of the namespace that the runtime starts in.
            _bind("/proc", "/proc")
            if label.get("pid") == "host"
            else {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=0755"]},
            *(_bind(str(_on_host(host, line.split(":")[0])), line.split(":")[1]) for line in binds),
            # What a kernel's devtmpfs has, or the runtime makes, whatever the image asks for.
            *(_bind(f"/dev/{name}", f"/dev/{name}") for name in _DEVICES),
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            },
            *(_bind(source, target) for source, target in service.mounts.items() if not _in_proc(target)),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            "devices": [
                {
                    "path": entry["path"],
                    "type": entry["type"],
                    "major": entry["major"],
                    "minor": entry["minor"],
                    "fileMode": int(entry["mode"], 8),
                }
                for entry in devices
                if entry["path"] not in service.mounts.values()
            ],
            # The devices of the label may be used, whether they are made or come with a bind; "all" means every one.
            "resources": {"devices": [_device_rule(entry) for entry in label.get("devices", [])]},
        },
    }


def _all_capabilities() -> list[str]:
    """Every one that this process may give away: root in a container or a small virtual machine may lack some."""
    status = Path("/proc/self/status").read_text()
    own = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    return [f"CAP_{name}" for number, name in enumerate(_CAPABILITIES) if own >> number & 1]


def _device_rule(entry: dict[str, Any]) -> dict[str, Any]:
    rule = {"allow": True, "access": "rwm", "type": entry["type"]}
    numbers = {} if entry["path"] == "all" else {"major": entry["major"], "minor": entry["minor"]}
    return {**rule, **numbers}


def _in_proc(path: str) -> bool:
    return path.startswith("/proc/")


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
    if path == "/dev":
        (place / "ptmx").symlink_to("pts/ptmx")
    return place
