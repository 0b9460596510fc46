"""Root file systems from locked Debian packages: mmdebstrap, without network, with nothing but the lock's .debs.

Everything runs in namespaces of its own without network: as root in plain ones, as an ordinary user in a user
namespace with the ids of /etc/subuid. That is what mmdebstrap's own "unshare" mode does, but that one has no way
to leave the network out. Both give the same bytes.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pkgtool import process, programs
from pkgtool.cancel import Cancellation
from pkgtool.engines import binfmt, memory
from pkgtool.engines.interface import LineSink
from pkgtool.engines.rootfs_tar import Cleaned, clean
from pkgtool.errors import BuildError, EngineError
from pkgtool.inputs.architectures import debian_architecture
from pkgtool.inputs.debian.control import stanzas
from pkgtool.inputs.lock import DebianLock
from pkgtool.model import Rootfs
from pkgtool.values import Platform

_WHY = "make root file systems from Debian packages"
_EXCLUDES = "etc/dpkg/dpkg.cfg.d/excludes"
_SOURCES = "etc/apt/sources.list.d/debian.sources"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PUBLIC = {
    "debian": "http://deb.debian.org/debian",
    "debian-security": "http://deb.debian.org/debian-security",
}
"""Where a finished system finds Debian: never a mirror of the machine that made it."""

_HOOK = """\
#!/bin/sh
# Runs the package's setup script in the new system, with an environment that says nothing of this machine.
set -eu
install -m 0755 {script} "$1/.setup"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \\
    SOURCE_DATE_EPOCH={epoch} chroot "$1" /.setup
rm "$1/.setup"
"""


_IN_MEMORY = 'mount -t tmpfs -o mode=0755 tmpfs "$TMPDIR" && exec "$@"'
"""dpkg syncs thousands of files; and what lies in a namespace's own memory is gone with it, even after kill -9."""


@dataclass(frozen=True, slots=True)
class RootfsRequest:
    """What to make. `repository` is the staged `inputs/debian`; `setup` a script, or None; `epoch` in seconds."""

    title: str
    platform: Platform
    lock: DebianLock
    rootfs: Rootfs
    repository: Path
    setup: Path | None
    epoch: int


def make_rootfs(
    request: RootfsRequest, output: Path, scratch: Path, *, log: LineSink, cancel: Cancellation | None = None
) -> Cleaned:
    """Write the file system to `output`, an uncompressed tar; `scratch` is an empty directory.

    Raises `EngineError` if programs of the platform can't run here or the user has no subordinate ids, `ToolMissing`
    for a missing program, `BuildError` if a package or the script fails, or if the result holds another set of
    packages than the lock.
    """
    programs.require("mmdebstrap", f"it is needed to {_WHY}")
    binfmt.require(request.platform, f"{request.title} runs its packages' scripts")
    isolation = _isolation()
    raw = scratch / "rootfs.tar"
    temporary = scratch / "mmdebstrap"
    temporary.mkdir(mode=0o755)
    command = _mmdebstrap(request, raw, scratch)
    if 2 * _size(request.repository) < memory.available():
        command = ["sh", "-c", _IN_MEMORY, "sh", *command]
    try:
        process.run(
            [*isolation, *command],
            why=_WHY,
            env={"SOURCE_DATE_EPOCH": str(request.epoch), "TMPDIR": str(temporary)},
            on_line=log,
            cancel=cancel,
            die_with_parent=True,
        )
    finally:
        _remove(temporary, isolation)
    cleaned = clean(raw, output, _extra(request), epoch=request.epoch)
    raw.unlink()
    _check_packages(request, cleaned.status)
    return cleaned


def rootfs_maker() -> str:
    """The program and its version, as provenance names it. Raises `ToolMissing`."""
    return process.run(["mmdebstrap", "--version"], why=_WHY).text.strip()


def _size(repository: Path) -> int:
    """Bytes that the packages take while they are installed: the .debs, and twice what is in them."""
    found = stanzas((repository / "Packages").read_text("utf-8"))
    return sum(int(fields["Size"]) + 2 * 1024 * int(fields.get("Installed-Size", "0")) for fields in found)


def _isolation() -> list[str]:
    """The namespaces; all processes in them end with the first one."""
    programs.require("unshare", "it keeps the network away from packages' scripts")
    common = ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL"]
    if os.geteuid() == 0:
        return common
    programs.require("newuidmap", "it gives a user's own namespace the ids of /etc/subuid")
    user = _user_name()
    for path in ("/etc/subuid", "/etc/subgid"):
        if not _has_range(Path(path), user):
            raise EngineError(
                f"{path} gives {user} no ids, so root file systems can't be made without being root",
                hint=f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
            )
    return [*common, "--user", "--map-root-user", "--map-auto"]


def _mmdebstrap(request: RootfsRequest, raw: Path, scratch: Path) -> list[str]:
    arch = debian_architecture(request.platform)
    names = sorted(deb.name for deb in request.lock.for_architecture(arch))
    suite = request.lock.request.suites[0][1]
    options = [f"--dpkgopt={line}" for line in (*_dpkg_excludes(request.rootfs), "force-unsafe-io")]
    if request.setup:
        options.append(f"--customize-hook={_write_hook(request, request.setup, scratch)}")
    return [
        "mmdebstrap",
        "--mode=root",
        "--format=tar",
        f"--variant={request.rootfs.variant}",
        f"--architectures={arch}",
        f"--include={','.join(names)}",
        # Which foreign programs run has been looked at already, and devices belong to whoever runs the system.
        "--skip=check/qemu,check/empty,output/dev",
        *options,
        suite,
        str(raw),
        f"deb [trusted=yes] copy:{quote(str(request.repository.absolute()))} ./",
    ]


def _write_hook(request: RootfsRequest, setup: Path, scratch: Path) -> Path:
    if not setup.read_bytes().startswith(b"#!"):
        raise BuildError(f"{request.title}: {setup.name} does not say what runs it", hint="start it with #!/bin/sh")
    # mmdebstrap takes the hook for shell text unless it is the bare path of a program: no strange characters there.
    script, hook = scratch / "setup", scratch / "run-setup"
    shutil.copyfile(setup, script)
    hook.write_text(_HOOK.format(script=f"'{script}'", epoch=request.epoch))
    hook.chmod(0o755)
    return hook


def _dpkg_excludes(rootfs: Rootfs) -> list[str]:
    """dpkg's options (dpkg(1), --path-exclude) in the order of the list, in which the last match decides."""
    return [
        f"path-include={pattern[1:]}" if pattern.startswith("!") else f"path-exclude={pattern}"
        for pattern in rootfs.exclude
    ]


def _extra(request: RootfsRequest) -> dict[str, bytes]:
    """Files that say what the machine's would have said, but only as the lock determines it."""
    files: dict[str, bytes] = {}
    excludes = _dpkg_excludes(request.rootfs)
    names = {deb.name for deb in request.lock.for_architecture(debian_architecture(request.platform))}
    if excludes and "dpkg" in names:
        files[_EXCLUDES] = "".join(f"{line}\n" for line in excludes).encode()
    if "apt" in names:
        components = " ".join(request.lock.request.components)
        files[_SOURCES] = "\n".join(
            f"Types: deb\nURIs: {_PUBLIC[archive]}\nSuites: {suite}\nComponents: {components}\nSigned-By: {_KEYRING}\n"
            for archive, suite in request.lock.request.suites
        ).encode()
    return files


def _check_packages(request: RootfsRequest, status: str) -> None:
    """Nothing but what is locked may be inside, in those versions, and all of it."""
    arch = debian_architecture(request.platform)
    wanted = {(deb.name, deb.version) for deb in request.lock.for_architecture(arch)}
    if request.rootfs.variant == "extract":
        return  # dpkg knows nothing of what was only unpacked
    found = {(s["Package"], s["Version"]) for s in stanzas(status) if s.get("Status") == "install ok installed"}
    if found != wanted:
        details = [f"missing: {name} {version}" for name, version in sorted(wanted - found)]
        details += [f"not in the lock: {name} {version}" for name, version in sorted(found - wanted)]
        raise BuildError(f"{request.title} does not hold the packages of its lock", details=details)


def _remove(directory: Path, isolation: list[str]) -> None:
    """Remove what a failed or killed mmdebstrap left, also files of subordinate ids."""
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        process.run([*isolation, "rm", "-rf", "--", str(directory)], why="clean up")


def _user_name() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _has_range(path: Path, user: str) -> bool:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return False
    return any(line.split(":")[0] in (user, str(os.geteuid())) for line in lines)
