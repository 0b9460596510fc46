"""The programs pkgtool may start: what each is for, and the Debian package that brings it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from pkgtool.errors import ToolMissing

# Debian keeps administrators' programs out of an ordinary user's PATH, and several of ours live there.
_SYSTEM_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Program:
    """A program, the Debian package it comes from, and what pkgtool needs it for."""

    name: str
    package: str
    purpose: str


_ALL = (
    Program("git", "git", "reads trees and makes build contexts"),
    Program("buildah", "buildah", "builds images without a daemon"),
    Program("mmdebstrap", "mmdebstrap", "makes root file systems from Debian packages"),
    Program("apt-get", "apt", "resolves the closure of Debian packages when a lock is written"),
    Program("gpgv", "gpgv", "checks signatures of archives and upstream sources"),
    Program("unshare", "util-linux", "runs build steps without network"),
    Program("setpriv", "util-linux", "ends children together with pkgtool"),
    Program("newuidmap", "uidmap", "lets an ordinary user build"),
    Program("fuse-overlayfs", "fuse-overlayfs", "layers for builds by an ordinary user on old kernels"),
    Program("runc", "runc", "runs containers"),
    Program("go", "golang-go", "fetches Go modules when a lock is written"),
    Program("docker", "docker.io", "talks to a Docker engine"),
    Program("qemu-system-x86_64", "qemu-system-x86", "boots kernels in tests"),
    Program("qemu-system-aarch64", "qemu-system-arm", "boots arm64 kernels in tests"),
    Program("busybox", "busybox-static", "is the first program in a booted kernel"),
    Program("sbsign", "sbsigntool", "signs kernels for Secure Boot"),
    Program("sbattach", "sbsigntool", "attaches Secure Boot signatures"),
    Program("sbverify", "sbsigntool", "checks Secure Boot signatures"),
    Program("zstd", "zstd", "unpacks kernels"),
    Program("ssh", "openssh-client", "reaches remote builders"),
    Program("kubectl", "kubernetes-client", "reaches builders in pods"),
    Program("diffoscope", "diffoscope-minimal", "explains differences inside files"),
)
PROGRAMS: dict[str, Program] = {program.name: program for program in _ALL}


def search_path() -> str:
    """The PATH that programs are looked up in: the user's own, then the system directories."""
    own = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*own, *(d for d in _SYSTEM_DIRECTORIES if d not in own)])


def find(name: str) -> str | None:
    """The absolute path of a program, or None."""
    return shutil.which(name, path=search_path())


def require(name: str, why: str) -> str:
    """The absolute path of a program.

    Raises `ToolMissing`, which names the program, why it is needed and the command that brings it.
    """
    path = find(name)
    if path is None:
        raise ToolMissing(f"{name} is not installed: {why}", hint=install_hint(name))
    return path


def install_hint(*names: str) -> str:
    """The command that installs the Debian packages of these programs."""
    packages = sorted({PROGRAMS[name].package if name in PROGRAMS else name for name in names})
    return f"sudo apt-get install {' '.join(packages)}"
