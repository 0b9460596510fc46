"""Programs of Debian sid beside the machine's own: cosign 3, crane, oras, a recent skopeo, …

    from tests.support import sid_tools
    subprocess.run([sid_tools.program("cosign"), "version"])

or, from a shell, `python -m tests.support.sid_tools cosign crane oras` prints the paths of the programs.

The first call for a program downloads its Debian package and all it depends on with apt (signatures checked
against Debian's archive keyring) into a private directory, and unpacks them with `dpkg-deb -x`; nothing is
installed and no root is needed. `program` gives the path of a small starter that runs the program with the C
library it was built for. Everything stays in `~/.cache/pkgtool-tests/sid` (or `$PKGTOOL_TESTS_CACHE/sid`):
one directory per package, so that later calls, and other processes, need no network. To renew a program,
remove its directory.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = os.environ.get("PKGTOOL_TESTS_MIRROR", "http://deb.debian.org/debian")
_SOURCES = f"""\
Types: deb
URIs: {MIRROR}
Suites: sid
Components: main
Signed-By: {KEYRING}
"""
_EMULATORS = {"arm64": "qemu-aarch64-static"}
_PROGRAM_PLACES = ("usr/bin", "usr/sbin", "bin", "sbin")


def cache() -> Path:
    """Where the unpacked packages are kept."""
    top = os.environ.get("PKGTOOL_TESTS_CACHE")
    return (Path(top) if top else Path.home() / ".cache" / "pkgtool-tests") / "sid"


def program(name: str, package: str = "", *, arch: str = "") -> str:
    """The path of a starter for the program `name` of sid's `package` (default: of the same name).

    With `arch`, one of Debian's architectures, it is that architecture's program, and Debian's emulator for it.
    """
    root = unpacked(package or name, arch=arch)
    starter = root.parent / "bin" / name
    if not starter.exists():
        _write_starter(starter, root, name, [_EMULATORS[arch]] if arch else [])
    return str(starter)


def unpacked(package: str, *, arch: str = "") -> Path:
    """The directory that holds the files of sid's `package` and of everything it depends on."""
    place = cache() / (f"{package}-{arch}" if arch else package)
    with _locked(cache() / f".{place.name}.lock"):
        if not place.exists():
            _fetch(package, place, arch)
    return place / "root"


def _fetch(package: str, place: Path, arch: str) -> None:
    if not KEYRING.exists():
        raise RuntimeError(f"{KEYRING} is missing: sudo apt-get install debian-archive-keyring")
    work = Path(tempfile.mkdtemp(prefix=f".{package}-", dir=cache()))
    try:
        debs = _download(package, work / "apt", arch)
        for deb in debs:
            subprocess.run(["dpkg-deb", "-x", str(deb), str(work / "root")], check=True)
        shutil.rmtree(work / "apt")
        (work / "packages.txt").write_text("".join(f"{deb.name}\n" for deb in debs))
        work.rename(place)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _download(package: str, apt: Path, arch: str) -> list[Path]:
    """Let apt resolve, download and verify the package's closure, as if on an empty system."""
    with _locked(cache() / ".lists.lock"):
        lists = cache() / ".lists"
        for directory in ("etc/preferences.d", "etc/apt.conf.d", "cache/archives/partial"):
            (apt / directory).mkdir(parents=True, exist_ok=True)
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        (apt / "status").touch()
        (apt / "etc" / "sid.sources").write_text(_SOURCES)
        settings = {
            "Dir::Etc": apt / "etc",
            "Dir::Etc::SourceList": apt / "etc" / "sid.sources",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State": apt,
            "Dir::State::Lists": lists,
            "Dir::State::Status": apt / "status",
            "Dir::Cache": apt / "cache",
            "APT::Sandbox::User": "",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            # A mirror that lags behind will do for tests; its signature is checked all the same.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Retries": "3",
        }
        if arch:
            settings |= {"APT::Architecture": arch, "APT::Architectures": arch}
        configuration = apt / "apt.conf"
        configuration.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
        environment = {**os.environ, "APT_CONFIG": str(configuration), "LC_ALL": "C.UTF-8"}
        for arguments in (["update"], ["install", "--download-only", "--yes", package]):
            command = ["apt-get", "-qq", *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{shlex.join(command)} (sid, {MIRROR}) failed:\n{done.stdout}{done.stderr}")
    return sorted((apt / "cache" / "archives").glob("*.deb"))


def _write_starter(starter: Path, root: Path, name: str, emulator: list[str]) -> None:
    found = [root / place / name for place in _PROGRAM_PLACES if (root / place / name).exists()]
    if not found:
        raise RuntimeError(f"sid's package in {root} has no program {name}")
    loaders = sorted(root.glob("usr/lib/*/ld-linux*.so*")) + sorted(root.glob("usr/lib*/ld-linux*.so*"))
    command = [str(found[0])]
    if loaders:
        libraries = [str(directory) for directory in sorted(root.glob("usr/lib/*-linux-gnu*"))] + [
            str(root / "usr/lib")
        ]
        command = [str(loaders[0]), "--library-path", ":".join(libraries), *command]
    starter.parent.mkdir(exist_ok=True)
    temporary = starter.with_name(f".{name}.{os.getpid()}")
    temporary.write_text(f'#!/bin/sh\nexec {shlex.join([*emulator, *command])} "$@"\n')
    temporary.chmod(0o755)
    temporary.rename(starter)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        sys.stdout.write(program(wanted) + "\n")
