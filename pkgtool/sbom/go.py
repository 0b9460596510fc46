"""Go modules from what the Go linker writes into a program (Go's debug/buildinfo, format of Go 1.18 and later)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from pkgtool.sbom import purl
from pkgtool.sbom.files import chunks
from pkgtool.sbom.model import Component, Kind

_MAGIC = b"\xff Go buildinf:"
_ALIGNMENT = 16
_HEADER = 32
_INLINE_STRINGS = 2
_SENTINEL = 16
"""The module text stands between two markers of 16 bytes each."""
_MAX_TEXT = 1 << 22
_DEVEL = "(devel)"


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a program; `sum` is its hash as go.sum has it (`h1:…`)."""

    path: str
    version: str
    sum: str = ""


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What a Go program knows of itself."""

    go_version: str
    main: Module | None
    modules: tuple[Module, ...]
    revision: str = ""
    """The commit that it was built from, if the go command saw one."""


def read_build_info(stream: IO[bytes], first: bytes = b"") -> BuildInfo | None:
    """The information in a program, or None if it has none: no Go program, or one of Go before 1.18.

    The stream is read in pieces, once; programs are large. `first` are bytes that were already read from it.
    """
    window = first
    start = 0  # of the window in the file
    for piece in chunks(stream):
        window += piece
        position = _find(window, start)
        if position is not None:
            return _parse(_more(window[position:], stream))
        keep = len(window) - len(window) % _ALIGNMENT - _HEADER
        if keep > 0:
            start, window = start + keep, window[keep:]
    return None


def _find(window: bytes, start: int) -> int | None:
    """Where the header begins. The magic also occurs in programs that look for it, but not aligned and followed so."""
    position = window.find(_MAGIC)
    while position >= 0:
        header = window[position : position + _HEADER]
        aligned = (start + position) % _ALIGNMENT == 0
        if aligned and len(header) == _HEADER and header[15] & _INLINE_STRINGS and header[14] in (0, 4, 8):
            return position
        position = window.find(_MAGIC, position + 1)
    return None


def _more(content: bytes, stream: IO[bytes]) -> bytes:
    return content + stream.read(max(0, _MAX_TEXT - len(content)))


def _parse(content: bytes) -> BuildInfo | None:
    version, rest = _text(content, _HEADER)
    if version is None or not version.startswith(b"go"):
        return None
    text, _ = _text(content, rest)
    if text is None:
        return None
    if len(text) > 2 * _SENTINEL and text[-_SENTINEL - 1 : -_SENTINEL] == b"\n":
        text = text[_SENTINEL:-_SENTINEL]
    return _parse_modules(version.decode("utf-8", "replace"), text.decode("utf-8", "replace"))


def _text(content: bytes, position: int) -> tuple[bytes | None, int]:
    """A string with its length before it as a variable-length integer (encoding/binary Uvarint)."""
    length = shift = 0
    while position < len(content) and shift < 35:
        byte = content[position]
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            end = position + length
            return (content[position:end], end) if end <= len(content) else (None, position)
    return None, position


def _parse_modules(go_version: str, text: str) -> BuildInfo:
    """The lines that `go version -m` prints; a `=>` line replaces the module before it."""
    main: Module | None = None
    modules: list[Module] = []
    revision = ""
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        module = Module(*[*fields, "", "", ""][:3])
        if kind == "mod":
            main = module
        elif kind == "dep":
            modules.append(module)
        elif kind == "=>" and modules:
            modules[-1] = module
        elif kind == "build" and line.startswith("build\tvcs.revision="):
            revision = line.partition("=")[2]
    return BuildInfo(go_version, main, tuple(modules), revision)


def components(path: str, info: BuildInfo) -> list[Component]:
    """The program's own module, its dependencies and the standard library."""
    library = Module("stdlib", info.go_version.removeprefix("go").partition(" ")[0])
    needed = [_component(module, path) for module in (*info.modules, library)]
    if info.main is None:
        return needed
    main = _component(info.main, path, info.revision, [each.purl for each in needed])
    return [main, *needed]


def _component(module: Module, path: str, revision: str = "", needs: Iterable[str] = ()) -> Component:
    version = module.version if module.version != _DEVEL else revision
    properties = {"go.sum": module.sum} if module.sum else {}
    return Component(
        Kind.GO_MODULE,
        module.path,
        version,
        purl.golang(module.path, version),
        properties=properties,
        locations=(path,),
        generated_from=tuple(sorted(set(needs))),
    )
