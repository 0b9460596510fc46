"""Configuration fragments: read, chosen for a release and a platform, and merged.

A fragment is a `.config` file with a condition where a symbol does not exist everywhere:

    CONFIG_VIRTIO_MENU=y            # since 5.8
    CONFIG_NF_CONNTRACK_IPV4=m      # until 4.18
    CONFIG_PVH=y                    # since 5.0, only amd64
    CONFIG_RANDOM_TRUST_CPU=y       # since 4.9.337, until 4.9

`since` and `until` include what they name, a series or one release of it; `only` names platforms as OCI does.
`CONFIG_X=n` and `# CONFIG_X is not set` mean the same. NAME.ARCH.config beside NAME.config is read after it, for that
platform. Of two fragments that set one symbol the later one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SET = re.compile(r'CONFIG_(?P<name>\w+)=(?P<value>"(?:[^"\\]|\\.)*"|[^\s"#]+)(?:\s+#\s*(?P<condition>.*))?\Z')
_UNSET = re.compile(r"#\s*CONFIG_(?P<name>\w+) is not set(?:\s+#\s*(?P<condition>.*))?\Z")
_CONDITION = re.compile(r"(since|until)\s+(\d+\.\d+(?:\.\d+)?)\Z|(only)\s+([a-z0-9]+(?:\s+[a-z0-9]+)*)\Z")


class FragmentError(Exception):
    """A line of a fragment that can't be read; the message begins with FILE:LINE."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One symbol as a fragment asks for it: `value` as in .config, `n` for "is not set"."""

    name: str
    value: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def parse_version(text: str) -> tuple[int, ...]:
    """`6.1.192` → (6, 1, 192), `6.1` → (6, 1). Raises `FragmentError`."""
    if not re.match(r"\d+\.\d+(?:\.\d+)?\Z", text):
        raise FragmentError(f"{text!r} is not a kernel version such as 6.1.192")
    return tuple(map(int, text.split(".")))


def applies(condition: str, version: tuple[int, ...], arch: str) -> bool:
    """Whether a condition such as `since 5.8, only amd64` holds. Raises `ValueError` for anything else."""
    for part in filter(None, (piece.strip() for piece in condition.split(","))):
        match = _CONDITION.match(part)
        if not match:
            raise ValueError(f"{part!r} is none of: since X.Y, until X.Y, since X.Y.Z, until X.Y.Z, only ARCH")
        kind, bound, _, arches = match.groups()
        limit = parse_version(bound) if bound else ()
        if kind == "since" and version < limit:
            return False
        if kind == "until" and version[: len(limit)] > limit:
            return False
        if arches and arch not in arches.split():
            return False
    return True


def read(text: str, file: str, version: tuple[int, ...], arch: str) -> list[Wish]:
    """The wishes of one fragment that apply. Raises `FragmentError` for a bad or repeated line."""
    wishes: dict[str, Wish] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        match = _SET.match(line) or _UNSET.match(line)
        if not match:
            if line and not line.startswith("#"):
                raise FragmentError(f"{file}:{number}: {line!r} is not of the form CONFIG_NAME=VALUE")
            continue
        fields = match.groupdict()
        try:
            wanted = applies(fields["condition"] or "", version, arch)
        except ValueError as problem:
            raise FragmentError(f"{file}:{number}: {problem}") from problem
        if not wanted:
            continue
        wish = Wish(fields["name"], fields.get("value") or "n", file, number)
        if wish.name in wishes:
            raise FragmentError(f"{wish.place}: CONFIG_{wish.name} is already set in line {wishes[wish.name].line}")
        wishes[wish.name] = wish
    return list(wishes.values())


def paths(directory: Path, names: Iterable[str], arch: str) -> list[Path]:
    """The files of these fragments in reading order. Raises `FragmentError` for one that does not exist."""
    found: list[Path] = []
    for name in names:
        common, own = directory / f"{name}.config", directory / f"{name}.{arch}.config"
        if not common.is_file() and not own.is_file():
            raise FragmentError(f"{common}: there is no such fragment")
        found += [path for path in (common, own) if path.is_file()]
    return found


def merge(fragments: Sequence[Sequence[Wish]]) -> dict[str, Wish]:
    """What counts in the end, by symbol, in the order of first mention."""
    merged: dict[str, Wish] = {}
    for wishes in fragments:
        for wish in wishes:
            merged[wish.name] = wish
    return merged


def load(directory: Path, names: Iterable[str], version: str, arch: str) -> dict[str, Wish]:
    """Read and merge the named fragments of a directory for one release and platform."""
    numbers = parse_version(version)
    return merge([read(path.read_text(), str(path), numbers, arch) for path in paths(directory, names, arch)])


def to_config(wishes: Mapping[str, Wish]) -> str:
    """The text of a .config that asks for exactly this."""
    lines = (
        f"# CONFIG_{wish.name} is not set" if wish.value == "n" else f"CONFIG_{wish.name}={wish.value}"
        for wish in wishes.values()
    )
    return "\n".join([*lines, ""])


def parse_config(text: str) -> dict[str, str]:
    """A .config as symbol → value, without what is not set."""
    pairs = (line.removeprefix("CONFIG_").split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[1] != "n"}
