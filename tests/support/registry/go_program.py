"""Small Go programs of the tests, built once. The toolchain is the machine's, or a pinned one from the module proxy."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pkgtool.oci import files, locks

_VERSION = "1.26.8"
_SHA256 = "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7"
_PROXY = "https://proxy.golang.org"
_URL = f"{_PROXY}/golang.org/toolchain/@v/v0.0.1-go{_VERSION}.linux-amd64.zip"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pkgtool-tests"


def build(source: Path) -> Path:
    """The program in the directory `source`; built when its files have changed. go.sum pins what it is made of."""
    content = b"".join(path.read_bytes() for path in sorted(source.iterdir()) if path.is_file())
    program = CACHE / "go-programs" / f"{source.name}-{hashlib.sha256(content).hexdigest()[:16]}"
    with locks.held(CACHE / "go.lock"):
        if not program.exists():
            program.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=program.parent) as directory:
                command = [str(toolchain()), "build", "-mod=readonly", "-trimpath", "-o", f"{directory}/program", "."]
                subprocess.run(command, cwd=source, env=environment(), check=True, stdin=subprocess.DEVNULL)
                Path(directory, "program").replace(program)
    return program


@dataclass(frozen=True)
class Module:
    """A module of the proxy at a pinned version and hash, whose own go.sum pins what its programs are made of."""

    path: str
    version: str
    sha256: str
    commands: tuple[str, ...]
    """Packages of its programs, relative to its root."""
    go: tuple[int, ...]
    """The oldest toolchain that its go.mod allows."""
    linker_flags: str = "-s -w"

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def build_module(module: Module) -> Path:
    """The directory that holds a module's programs; built once."""
    place = CACHE / "go-programs" / f"{module.name}-{module.version}-{module.sha256[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with locks.held(CACHE / f"{module.name}.lock"):
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as directory:
                _build_module(module, Path(directory))
                Path(directory, "out").replace(place)
    return place


def _build_module(module: Module, directory: Path) -> None:
    archive = directory / "module.zip"
    download(f"{_PROXY}/{module.path}/@v/{module.version}.zip", module.sha256, archive)
    with zipfile.ZipFile(archive) as content:
        content.extractall(directory / "source")
    (directory / "out").mkdir()
    flags = ["-mod=readonly", "-trimpath", f"-ldflags={module.linker_flags}", "-o", f"{directory}/out/"]
    subprocess.run(
        [str(toolchain(module.go)), "build", *flags, *module.commands],
        cwd=directory / "source" / f"{module.path}@{module.version}",
        env=environment(),
        check=True,
        stdin=subprocess.DEVNULL,
    )


def environment() -> dict[str, str]:
    """The environment of a build that takes nothing but what a go.sum pins."""
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOSUMDB": "off"}


def toolchain(minimum: tuple[int, ...] = (1, 25)) -> Path:
    """A Go that is new enough: the machine's, or a pinned one from the module proxy."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and Path(candidate).exists() and _version(candidate) >= minimum:
            return Path(candidate)
    return _pinned()


def download(url: str, sha256: str, target: Path) -> None:
    """A file from the module proxy, which must have this hash."""
    with urllib.request.urlopen(url, timeout=300) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file)
    found = files.hash_file(target).hex
    assert found == sha256, f"{url} has sha256 {found}, not the pinned {sha256}"


def _version(program: str) -> tuple[int, ...]:
    output = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"go(\d+(?:\.\d+)+)", output)
    return tuple(map(int, match.group(1).split("."))) if match else (0,)


def _pinned() -> Path:
    root = CACHE / f"go{_VERSION}"
    go = root / f"golang.org/toolchain@v0.0.1-go{_VERSION}.linux-amd64" / "bin" / "go"
    if go.exists():
        return go
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        archive = Path(directory, "go.zip")
        download(_URL, _SHA256, archive)
        with zipfile.ZipFile(archive) as content:
            content.extractall(Path(directory, "go"))
        for path in Path(directory, "go").rglob("*"):  # module zips carry no modes
            if path.parent.name in ("bin", "linux_amd64"):
                path.chmod(0o755)
        shutil.rmtree(root, ignore_errors=True)
        Path(directory, "go").replace(root)
    return go
