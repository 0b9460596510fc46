"""go.sum, module paths and module hashes, as the go command defines them (go.dev/ref/mod)."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import ConfigError, Location, PkgtoolError, raise_all
from pkgtool.inputs import names


@dataclass(frozen=True, slots=True, order=True)
class Checksum:
    """One line of go.sum: the hash of a module's zip, or (`mod`) of its go.mod alone."""

    module: str
    version: str
    mod: bool
    hash: str


def parse_sums(content: bytes, file: str) -> tuple[Checksum, ...]:
    """The lines of a go.sum, sorted. Raises `ConfigError` or `Problems` with places for lines that are none."""
    found: set[Checksum] = set()
    problems: list[PkgtoolError] = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            module, version, checksum = line.split()
            plain = version.removesuffix("/go.mod")
            if not checksum.startswith("h1:"):
                raise ValueError(f"unknown kind of hash {checksum!r}")
            found.add(Checksum(names.module(module), names.module_version(plain), plain != version, checksum))
        except ValueError as error:
            location = Location(file, number, 1, line)
            problems.append(ConfigError(f"not a line of go.sum: {error}", location=location, hint="go mod tidy"))
    raise_all(problems)
    return tuple(sorted(found))


def escaped(text: str) -> str:
    """A module path or version as proxies and caches write it: `!a` for `A`."""
    return "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in text)


def hash_mod(path: Path) -> str:
    """The `h1:` hash of a go.mod file."""
    return _h1([("go.mod", hashlib.sha256(path.read_bytes()).hexdigest())])


def hash_zip(path: Path) -> str:
    """The `h1:` hash of a module's zip. Raises `ValueError` if the file is no zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = []
            for info in archive.infolist():
                with archive.open(info) as file:
                    entries.append((info.filename, hashlib.file_digest(file, "sha256").hexdigest()))  # type: ignore[arg-type]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise ValueError(f"no usable zip file: {error}") from error
    return _h1(entries)


def _h1(entries: Iterable[tuple[str, str]]) -> str:
    """Hash1 of golang.org/x/mod/sumdb/dirhash: sha256 over `HEX  NAME` lines in the order of names."""
    lines = "".join(f"{hexadecimal}  {name}\n" for name, hexadecimal in sorted(entries))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode("ascii")


def matches_prefix(patterns: str, module: str) -> bool:
    """Whether a GOPRIVATE-like list of globs matches the leading parts of a module path."""
    parts = module.split("/")
    for pattern in filter(None, (word.strip().rstrip("/") for word in patterns.split(","))):
        depth = pattern.count("/") + 1
        if len(parts) >= depth and all(
            fnmatch.fnmatchcase(part, glob) for part, glob in zip(parts, pattern.split("/"), strict=False)
        ):
            return True
    return False
