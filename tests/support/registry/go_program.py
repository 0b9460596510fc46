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
from pathlib import Path

from pkgtool.oci import files, locks

_VERSION = "1.25.5"
_SHA256 = "8cea6783dab64d68b38f5b81ecd38d45155a3c06638991acc6af19e0fca80edb"
_URL = f"https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go{_VERSION}.linux-amd64.zip"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pkgtool-tests"


def build(source: Path) -> Path:
    """The program in the directory `source`; built when its files have changed. go.sum pins what it is made of."""
    content = b"".join(path.read_bytes() for path in sorted(source.iterdir()) if path.is_file())
    program = _CACHE / "go-programs" / f"{source.name}-{hashlib.sha256(content).hexdigest()[:16]}"
    with locks.held(_CACHE / "go.lock"):
        if not program.exists():
            program.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=program.parent) as directory:
                command = [str(_go()), "build", "-mod=readonly", "-trimpath", "-o", f"{directory}/program", "."]
                environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
                subprocess.run(command, cwd=source, env=environment, check=True, stdin=subprocess.DEVNULL)
                Path(directory, "program").replace(program)
    return program


def _go() -> Path:
    """A Go that is new enough."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and Path(candidate).exists() and _version(candidate) >= (1, 25):
            return Path(candidate)
    return _pinned()


def _version(program: str) -> tuple[int, int]:
    output = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"go(\d+)\.(\d+)", output)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def _pinned() -> Path:
    root = _CACHE / f"go{_VERSION}"
    go = root / f"golang.org/toolchain@v0.0.1-go{_VERSION}.linux-amd64" / "bin" / "go"
    if go.exists():
        return go
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as directory:
        archive = Path(directory, "go.zip")
        with urllib.request.urlopen(_URL, timeout=300) as answer, archive.open("wb") as file:
            shutil.copyfileobj(answer, file)
        found = files.hash_file(archive).hex
        assert found == _SHA256, f"{_URL} has sha256 {found}, not the pinned {_SHA256}"
        with zipfile.ZipFile(archive) as content:
            content.extractall(Path(directory, "go"))
        for path in Path(directory, "go").rglob("*"):  # module zips carry no modes
            if path.parent.name in ("bin", "linux_amd64"):
                path.chmod(0o755)
        shutil.rmtree(root, ignore_errors=True)
        Path(directory, "go").replace(root)
    return go
