"""Debian's control data (deb-control(5)): stanzas, dependencies, versions, and the control file inside a .deb."""

from __future__ import annotations

import io
import itertools
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pkgtool import process
from pkgtool.errors import InputError

Stanza = Mapping[str, str]
"""Fields in their order; continuation lines keep their newline and leading space."""

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_PART = re.compile(r"(\D*)(\d*)")
_DEPENDENCY = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a control file such as Packages."""
    fields: dict[str, str] = {}
    name = ""
    for line in itertools.chain(text.splitlines(), [""]):
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[0] in " \t":
            if name in fields:
                fields[name] += "\n" + line
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()


def format_stanza(fields: Stanza) -> str:
    """The text of a paragraph, without the empty line after it."""
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def dependencies(stanza: Stanza) -> Iterator[tuple[str, ...]]:
    """The names of each dependency's alternatives; versions and architectures are left aside."""
    for field in ("Pre-Depends", "Depends"):
        for group in stanza.get(field, "").split(","):
            names = tuple(found[1] for choice in group.split("|") if (found := _DEPENDENCY.match(choice)))
            if names:
                yield names


def provided(stanza: Stanza) -> tuple[str, ...]:
    """The virtual packages that a package stands for."""
    return tuple(found[1] for name in stanza.get("Provides", "").split(",") if (found := _DEPENDENCY.match(name)))


# -- versions -------------------------------------------------------------------------------------------


def is_newer(version: str, than: str) -> bool:
    """Whether a version is later in Debian's order (Policy 5.6.12)."""
    return _compare(version, than) > 0


def _compare(one: str, other: str) -> int:
    for left, right in zip(_split(one), _split(other), strict=True):
        # A text ends before whatever is not "~", so the shorter side goes on as empty text and zero.
        for ours, theirs in itertools.zip_longest(_parts(left), _parts(right), fillvalue=((0,), 0)):
            if ours != theirs:
                return 1 if ours > theirs else -1
    return 0


def _split(version: str) -> tuple[str, str, str]:
    """Epoch, upstream version, revision."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "")


def _parts(text: str) -> list[tuple[tuple[int, ...], int]]:
    """Texts, each with the number after it. In a text `~` comes before its end, then letters, then the rest."""
    return [((*map(_rank, letters), 0), int(digits or 0)) for letters, digits in _PART.findall(text)]


def _rank(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256


# -- .deb files -----------------------------------------------------------------------------------------


def control_of(path: Path) -> dict[str, str]:
    """The control stanza of a .deb (deb(5)). Raises `InputError` if the file is none."""
    try:
        with path.open("rb") as file:
            name, member = _control_member(file)
        text = _control_text(path, name, member)
        return next(stanzas(text))
    except (OSError, ValueError, KeyError, EOFError, tarfile.TarError, StopIteration) as error:
        raise InputError(f"{path} is not a usable .deb: {error or type(error).__name__}") from error


def _control_member(file: io.BufferedReader) -> tuple[str, bytes]:
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise ValueError("it is no ar archive")
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        name, size = header[:16].decode("ascii").rstrip().rstrip("/"), int(header[48:58])
        if name.startswith("control.tar"):
            return name, file.read(size)
        file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it has no control archive")


def _control_text(path: Path, name: str, member: bytes) -> str:
    if name.endswith(".zst"):  # Ubuntu's; Python reads it from 3.14 on, dpkg does already
        return process.run(["dpkg-deb", "--field", str(path)], why="read Debian packages").text
    with tarfile.open(fileobj=io.BytesIO(member), mode="r:*") as archive:
        found = next(entry for entry in archive if entry.name.lstrip("./") == "control")
        content = archive.extractfile(found)
        if content is None:
            raise ValueError("its control file is no file")
        return content.read().decode("utf-8", "replace")
