"""What the tree's own images hold and ask for: privileged files, traces of a build, runtime configurations."""

from __future__ import annotations

import stat
from functools import cache
from tarfile import TarInfo
from typing import Any

import pytest

from tests.e2e.conftest import Built
from tests.support.store_images import StoredImage

pytestmark = pytest.mark.engine

_BASE = {"usr/bin/su": "4755 root", "usr/sbin/unix_chkpwd": "2755 shadow"}
_SSHD = {
    "usr/bin/chage": "2755 shadow",
    "usr/bin/chfn": "4755 root",
    "usr/bin/chsh": "4755 root",
    "usr/bin/expiry": "2755 shadow",
    "usr/bin/gpasswd": "4755 root",
    "usr/bin/passwd": "4755 root",
    "usr/bin/ssh-agent": "2755 _ssh",
    "usr/lib/openssh/ssh-keysign": "4755 root",
}
_SET_ID = {
    "base": _BASE,
    "getty": _BASE | {"usr/bin/newgrp": "4755 root"},
    "sshd": _BASE | _SSHD,
    "go-compile": _BASE,
    "kernel-build": _BASE,
    "vsudd": {},
    "vpnkit-forwarder": {},
}
_GROUPS = {0: "root", 42: "shadow", 101: "_ssh"}
_TOOLS = {"go-compile", "kernel-build"}  # they run on the build platform only
_TRACES = (
    "etc/machine-id",
    "etc/resolv.conf",
    "root/.bash_history",
    "var/cache/apt/pkgcache.bin",
    "var/lib/dbus/machine-id",
    "var/log/dpkg.log",
)
_TRACES_UNDER = ("etc/ssh/ssh_host_", "tmp/", "run/", "var/lib/apt/lists/", "var/log/", "var/tmp/", "inputs/")

# What a LinuxKit YAML file may count on: LinuxKit's getty and sshd ask for the same (pkg/*/build.yml there).
_OF_THE_MACHINE = {
    "/etc/resolv.conf",
    "/run",
    "/tmp",
    "/usr/bin/ctr",
    "/usr/bin/runc",
    "/containers",
    "/var/log",
    "/var/lib/containerd",
    "/dev",
    "/sys",
}
_SHELL_BINDS = {"/etc:/hostroot/etc", *(f"{path}:{path}" for path in _OF_THE_MACHINE)}
_CONSOLES = {"console": (5, 1), "tty0": (4, 0), "ttyS0": (4, 64), "ttyAMA0": (204, 64), "hvc0": (229, 0)}
_SOCKETS = {"net": "host", "binds": {"/run:/run", "/var/run:/var/run"}}
_RUNTIME: dict[str, dict[str, Any]] = {
    "base": {},
    "go-compile": {},
    "kernel-build": {},
    "getty": {
        "pid": "host",
        "net": "host",
        "capabilities": {"all"},
        "binds": _SHELL_BINDS,
        "devices": {(f"/dev/{name}", "c", *numbers, "0666") for name, numbers in _CONSOLES.items()},
    },
    "sshd": {
        "pid": "host",
        "capabilities": {"all"},
        "binds": _SHELL_BINDS,
        "devices": {("all", "a", 0, 0, "")},
    },
    # LinuxKit leaves these two to the YAML file; the READMEs say why they have something here.
    "vsudd": _SOCKETS,
    "vpnkit-forwarder": _SOCKETS,
}


@cache
def _files(image: StoredImage) -> dict[str, TarInfo]:
    return image.files()


_PLACES = [
    pytest.param(package, arch, marks=pytest.mark.xdist_group("emulated" if arch == "arm64" else "packages"))
    for package in _SET_ID
    for arch in ("amd64", "arm64")
    if arch == "amd64" or package not in _TOOLS
]


@pytest.mark.parametrize(("package", "arch"), _PLACES)
def test_privileged_files_are_those_of_the_list(built: Built, package: str, arch: str) -> None:
    """A new one is seen when it comes, not when it is used: set-id and file capabilities; no devices, nothing open."""
    files = _files(built.image(package, arch))
    assert files
    plain = {path: entry for path, entry in files.items() if entry.isfile()}
    special = {path: f"{entry.mode:o} {_GROUPS[entry.gid]}" for path, entry in plain.items() if entry.mode & 0o6000}
    assert special == _SET_ID[package]
    assert all(plain[path].uid == 0 for path in special)
    assert [path for path, entry in files.items() if "SCHILY.xattr.security.capability" in entry.pax_headers] == []
    assert [path for path, entry in files.items() if entry.isdev()] == []
    assert [path for path, entry in plain.items() if entry.mode & stat.S_IWOTH] == []


@pytest.mark.parametrize(("package", "arch"), _PLACES)
def test_the_build_left_no_traces(built: Built, package: str, arch: str) -> None:
    """Empty files may stand in for them, as Debian's wtmp does; a compiler image may keep Python's compiled modules."""
    files = _files(built.image(package, arch))
    written = [path for path, entry in files.items() if entry.isfile() and entry.size]
    assert written
    assert [path for path in written if path in _TRACES or path.startswith(_TRACES_UNDER)] == []
    if package not in _TOOLS:
        assert [path for path in written if path.endswith(".pyc")] == []


@pytest.mark.parametrize(("package", "arch"), _PLACES)
def test_the_runtime_configuration_is_what_linuxkit_s_package_has(built: Built, package: str, arch: str) -> None:
    """Without order: LinuxKit sorts mounts by destination itself (moby/config.go)."""
    label = dict(built.image(package, arch).runtime)
    for key in label.keys() & {"binds", "capabilities"}:
        assert len(label[key]) == len(set(label[key]))
        label[key] = set(label[key])
    if "devices" in label:
        devices = label["devices"]
        label["devices"] = {
            (d["path"], d["type"], d.get("major", 0), d.get("minor", 0), d.get("mode", "")) for d in devices
        }
        assert len(devices) == len(label["devices"])
    assert label == _RUNTIME[package]
